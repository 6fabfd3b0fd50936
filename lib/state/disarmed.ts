import * as v from 'valibot'
import { isDeeperThan } from '../base/deep.ts'
import { AlertRecord, withoutWords } from './alert-record.ts'
import { DEPTH_AT_MOST } from './documents.ts'

/** Members that say in words why something is so; what people read is made of them. */
const WORDS = ['why', 'failedWhy', 'reason', 'detail', 'message', 'hint', 'error', 'outcome', 'step']
/** Members of which nothing but words would be left. */
const ONLY_WORDS = ['otherChains', 'said']
const LINKS = ['explanationUrl']
/** A code of ours, such as `renewal-window`, says no more than it means. */
const CODE = /^[\w-]{1,40}$/
const INSTEAD = 'as it was written down without a MAC'

/**
 * The text of a document that carries no MAC, as far as it is believed: whoever can write the store may have made it
 * up, and people and services are told nothing in words that stand there. What was told is remembered, but of a
 * target or a run alone; what else is still wrong is told anew.
 */
export function disarmed(body: string): string {
  const value: unknown = JSON.parse(body)
  // Whoever parses it says what is wrong with the rest.
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return body
  if (isDeeperThan(value, DEPTH_AT_MOST)) return body
  const { alerts, ...rest } = value as Record<string, unknown>
  const record = v.safeParse(AlertRecord, alerts)
  const told = record.success ? { alerts: toldOf(record.output) } : alerts === undefined ? {} : { alerts }
  return JSON.stringify({ ...(unsaid(rest) as object), ...told })
}

/** States that many share are told anew, by keys that are made here. */
const toldOf = (record: AlertRecord): AlertRecord => {
  const own = Object.entries(record.open).filter(([key, it]) => !key.includes('/') && !it.shared)
  return withoutWords({ ...record, open: Object.fromEntries(own) })
}

function unsaid(value: unknown, name = ''): unknown {
  if (typeof value === 'string') {
    if (LINKS.includes(name)) return null
    return WORDS.includes(name) && !CODE.test(value) ? INSTEAD : value
  }
  if (Array.isArray(value)) return ONLY_WORDS.includes(name) ? [] : value.map(item => unsaid(item))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unsaid(item, key)]))
}
