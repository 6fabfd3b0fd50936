import { visible } from '../base/visible.ts'
import type { AlertEvent } from '../contracts.ts'

/** Texts that are told at length; every other one is a name, an instant or the like. */
const LONG = ['reason', 'message', 'hint', 'whatToDo']
const LONG_AT_MOST = 600
const SHORT_AT_MOST = 300
const BYTES_AT_MOST = 16 * 1024

/** No character is cut in half. */
const cut = (text: string, chars: number): string =>
  text.length <= chars ? text : `${text.slice(0, chars - 1).replace(/[\ud800-\udbff]$/, '')}…`

function shown(value: unknown, name: string, keepsLines: boolean): unknown {
  if (typeof value === 'string') {
    if (!LONG.includes(name)) return cut(visible(value), SHORT_AT_MOST)
    const lines = value.split('\n').map(visible)
    return cut(lines.join(keepsLines ? '\n' : ' | '), LONG_AT_MOST)
  }
  if (Array.isArray(value)) return value.map(item => shown(item, name, keepsLines))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, it]) => [key, shown(it, key, keepsLines)]))
}

const bytesOf = (alert: AlertEvent): number => Buffer.byteLength(JSON.stringify(alert))

/**
 * An alert as it may be told, whoever wrote its texts and wherever it lay: visible characters, one line each (but for
 * mistakes in settings, which have a line each), and 16 KB in all. The same when it is done again.
 */
export function fitAlert(alert: AlertEvent): AlertEvent {
  let fit = shown(alert, '', alert.event === 'settings-invalid') as AlertEvent
  while (fit.targets && fit.targets.names.length > 0 && bytesOf(fit) > BYTES_AT_MOST) {
    const { count, names } = fit.targets
    fit = { ...fit, targets: { count, names: names.slice(0, Math.floor(names.length / 2)) } }
  }
  return fit
}
