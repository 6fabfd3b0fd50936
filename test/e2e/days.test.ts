import { DAY_MS } from '../support/days-ideal.ts'
import { liveDays } from './days.ts'

liveDays('90 days', 90 * DAY_MS, 20)
liveDays('64 days', 64 * DAY_MS, 4)
liveDays('45 days', 45 * DAY_MS, 7)
