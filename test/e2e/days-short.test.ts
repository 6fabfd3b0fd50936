import { HOUR_MS } from '../support/days-ideal.ts'
import { liveDays } from './days.ts'

liveDays('6 days', 160 * HOUR_MS, 10)
