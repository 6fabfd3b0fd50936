import type { BindWindow } from '../model/target.ts'
import { DAY_MS, MINUTE_MS } from './time.ts'

const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
const DAY_MINUTES = 24 * 60
/** A weekly window can fall into the hour that daylight saving skips; then it is the week after. */
const LOOK_AHEAD_MS = 16 * DAY_MS
/** No clock is put forward or back by more. */
const SHIFT_MINUTES = 120

/** Parses a window; a text that is none gives what is wrong with it. */
export function parseWindow(text: string): BindWindow | string {
  const [days, hours, timeZone, ...rest] = text.trim().split(/\s+/)
  if (!days || !hours || !timeZone || rest.length > 0)
    return 'must be DAYS HH:MM-HH:MM ZONE, e.g. "mon-fri 02:00-05:00 Asia/Shanghai"'
  const parsedDays = parseDays(days.toLowerCase())
  if (!parsedDays) return `its days must be "*", "mon", "mon-fri" or "sat,sun", not "${days}"`
  const [from, to] = hours.split('-').map(parseTime)
  if (
    from === undefined ||
    to === undefined ||
    from === null ||
    to === null ||
    hours.split('-').length !== 2
  ) {
    return 'its hours must be HH:MM-HH:MM, e.g. 02:00-05:00'
  }
  if (from === to || from === DAY_MINUTES) return 'is empty: it ends when it begins'
  if (!isTimeZone(timeZone))
    return `"${timeZone}" is no time zone; use an IANA name such as Asia/Shanghai or UTC`
  return { text, days: parsedDays, from, to, timeZone }
}

function parseDays(text: string): readonly number[] | null {
  if (text === '*') return DAYS.map((_, i) => i)
  const ranges = text.split(',').map(part => {
    const [first = '', last = first, ...more] = part.split('-')
    const start = DAYS.indexOf(first)
    const end = DAYS.indexOf(last)
    if (start < 0 || end < 0 || more.length > 0) return null
    return Array.from({ length: ((end - start + 7) % 7) + 1 }, (_, i) => (start + i) % 7)
  })
  return ranges.includes(null) ? null : [...new Set(ranges.flatMap(r => r ?? []))]
}

function parseTime(text: string): number | null {
  const [, hours, minutes] = /^(\d{2}):(\d{2})$/.exec(text) ?? []
  const total = Number(hours) * 60 + Number(minutes)
  return hours !== undefined && Number(minutes) < 60 && total <= DAY_MINUTES ? total : null
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}

/** For how long it is open at a time, as far as one of its days goes; one that never closes: without end. */
export function openMs({ days, from, to }: BindWindow): number {
  const minutes = from < to ? to - from : to + DAY_MINUTES - from
  return minutes === DAY_MINUTES && days.length === DAYS.length
    ? Number.POSITIVE_INFINITY
    : minutes * MINUTE_MS
}

/** The first instant from `at` on that lies in one of the windows; `at` itself when one is open, or none are given. */
export function nextOpening(windows: readonly BindWindow[], at: number): number | null {
  if (windows.length === 0) return at
  const openings = windows.map(window => openingOf(window, at)).filter(opening => opening !== null)
  return openings.length === 0 ? null : Math.min(...openings)
}

function openingOf(window: BindWindow, at: number): number | null {
  const read = localReader(window.timeZone)
  if (contains(window, read(at))) return at
  const start = Math.ceil(at / MINUTE_MS) * MINUTE_MS
  for (let instant = start; instant < at + LOOK_AHEAD_MS; ) {
    const local = read(instant)
    if (contains(window, local)) return instant
    instant += minutesClosed(window, local) * MINUTE_MS
  }
  return null
}

/**
 * For how long a closed window certainly stays closed. Minute by minute when it is near: daylight saving may skip an
 * hour, and then the window is the shorter for it.
 */
function minutesClosed({ days, from }: BindWindow, { day, minute }: Local): number {
  const left = (from - minute + DAY_MINUTES) % DAY_MINUTES || DAY_MINUTES
  const nextDay = minute < from ? day : (day + 1) % 7
  return days.includes(nextDay) ? Math.max(1, left - SHIFT_MINUTES) : left
}

interface Local {
  readonly day: number
  readonly minute: number
}

function localReader(timeZone: string): (at: number) => Local {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  })
  return at => {
    const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]))
    return {
      day: DAYS.indexOf(parts.weekday?.toLowerCase() ?? ''),
      minute: Number(parts.hour) * 60 + Number(parts.minute),
    }
  }
}

function contains({ days, from, to }: BindWindow, { day, minute }: Local): boolean {
  if (from < to) return days.includes(day) && minute >= from && minute < to
  const yesterday = (day + 6) % 7
  return (days.includes(day) && minute >= from) || (days.includes(yesterday) && minute < to)
}
