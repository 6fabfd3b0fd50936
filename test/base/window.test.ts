import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MINUTE_MS } from '../../lib/base/time.ts'
import { nextOpening, openMs, parseWindow } from '../../lib/base/window.ts'
import type { BindWindow } from '../../lib/model/target.ts'

const at = (text: string): number => Date.parse(text)
const window = (text: string): BindWindow => {
  const parsed = parseWindow(text)
  if (typeof parsed === 'string') throw new Error(parsed)
  return parsed
}

describe('a window', () => {
  test.each([
    ['mon-fri 02:00-05:00 Asia/Shanghai', [1, 2, 3, 4, 5], 120, 300],
    ['* 00:00-24:00 UTC', [0, 1, 2, 3, 4, 5, 6], 0, 1440],
    ['sat,sun 22:30-04:00 Europe/Berlin', [6, 0], 1350, 240],
    ['fri-mon 01:00-02:00 UTC', [5, 6, 0, 1], 60, 120],
  ])('%s', (text, days, from, to) => {
    expect(parseWindow(text)).toMatchObject({ text, days, from, to })
  })

  test.each([
    ['mon-fri 02:00-05:00 Asia/Shanghai', 180],
    ['sat,sun 22:30-04:00 Europe/Berlin', 330],
    ['mon 00:00-24:00 UTC', 1440],
    ['* 00:00-24:00 UTC', Number.POSITIVE_INFINITY],
  ])('%s is open for %i minutes', (text, minutes) => {
    expect(openMs(window(text))).toBe(minutes * MINUTE_MS)
  })

  test.each([
    ['Sat', /must be DAYS/],
    ['mon 02:00-05:00', /must be DAYS/],
    ['mon 02:00-05:00 UTC more', /must be DAYS/],
    ['monday 02:00-05:00 UTC', /its days/],
    ['mon-fri-sat 02:00-05:00 UTC', /its days/],
    ['mon 2:00-5:00 UTC', /its hours/],
    ['mon 02:60-05:00 UTC', /its hours/],
    ['mon 02:00-25:00 UTC', /its hours/],
    ['mon 02:00 UTC', /its hours/],
    ['mon 02:00-02:00 UTC', /is empty/],
    ['* 24:00-00:00 UTC', /is empty/],
    ['* 24:00-04:00 UTC', /is empty/],
    ['mon 02:00-05:00 Mars/Olympus', /no time zone/],
  ])('%s is refused', (text, why) => {
    expect(parseWindow(text)).toMatch(why)
  })
})

describe('the next opening', () => {
  test.each([
    ['open now', ['* 02:00-05:00 UTC'], '2026-11-24T03:00:00Z', '2026-11-24T03:00:00Z'],
    ['later today', ['* 02:00-05:00 UTC'], '2026-11-24T01:30:30Z', '2026-11-24T02:00:00Z'],
    ['tomorrow', ['* 02:00-05:00 UTC'], '2026-11-24T05:00:00Z', '2026-11-25T02:00:00Z'],
    ['in its zone', ['* 02:00-05:00 Asia/Shanghai'], '2026-11-24T00:00:00Z', '2026-11-24T18:00:00Z'],
    ['on its day', ['sun 02:00-05:00 UTC'], '2026-11-24T03:00:00Z', '2026-11-29T02:00:00Z'],
    ['over midnight, before', ['tue 22:00-04:00 UTC'], '2026-11-24T23:00:00Z', '2026-11-24T23:00:00Z'],
    ['over midnight, after', ['tue 22:00-04:00 UTC'], '2026-11-25T03:59:00Z', '2026-11-25T03:59:00Z'],
    [
      'over midnight, not the day before',
      ['tue 22:00-04:00 UTC'],
      '2026-11-24T03:00:00Z',
      '2026-11-24T22:00:00Z',
    ],
    [
      'the earlier of two',
      ['sun 02:00-05:00 UTC', 'wed 01:00-02:00 UTC'],
      '2026-11-24T03:00:00Z',
      '2026-11-25T01:00:00Z',
    ],
    [
      'an hour that daylight saving skips',
      ['sun 02:00-03:30 Europe/Berlin'],
      '2026-03-28T12:00:00Z',
      '2026-03-29T01:00:00Z',
    ],
    [
      'the week after, where daylight saving skips all of it',
      ['sun 02:15-02:45 Europe/Berlin'],
      '2027-03-21T03:00:00Z',
      '2027-04-04T00:15:00Z',
    ],
    ['always, without any', [], '2026-11-24T03:00:00Z', '2026-11-24T03:00:00Z'],
  ])('%s', (_, windows, now, opens) => {
    expect(nextOpening(windows.map(window), at(now))).toBe(at(opens))
  })

  test('is the first minute that the wall clock shows within the window', () => {
    const zone = fc.constantFrom('Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe')
    const days = fc.constantFrom('*', 'sun', 'sat-mon')
    const from = fc.integer({ min: 0, max: 1439 })
    const length = fc.integer({ min: 1, max: 1439 })
    const now = fc.integer({ min: at('2026-01-01T00:00:00Z'), max: at('2027-01-01T00:00:00Z') })
    const hhmm = (m: number): string =>
      `${String(Math.floor(m / 60)).padStart(2, '0')}:${String(m % 60).padStart(2, '0')}`
    fc.assert(
      fc.property(zone, days, from, length, now, (z, d, begin, more, instant) => {
        const end = (begin + more) % 1440
        const parsed = window(`${d} ${hhmm(begin)}-${hhmm(end)} ${z}`)
        const clock = new Intl.DateTimeFormat('en-GB', {
          timeZone: z,
          weekday: 'short',
          hour: '2-digit',
          minute: '2-digit',
        })
        const names = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
        const isOpen = (moment: number): boolean => {
          const [name = '', h = '', m = ''] = clock.format(moment).split(/[ ,:]+/)
          const [day, minute] = [names.indexOf(name), Number(h) * 60 + Number(m)]
          const isDay = parsed.days.includes(day)
          if (begin < end) return isDay && minute >= begin && minute < end
          return (isDay && minute >= begin) || (parsed.days.includes((day + 6) % 7) && minute < end)
        }
        if (isOpen(instant)) return nextOpening([parsed], instant) === instant
        let first = Math.ceil(instant / MINUTE_MS) * MINUTE_MS
        while (!isOpen(first)) first += MINUTE_MS
        return nextOpening([parsed], instant) === first
      }),
      { numRuns: 40 },
    )
  })

  test('is never in the past, and within eight days for any window', () => {
    const days = fc.constantFrom('*', 'mon', 'sat,sun', 'tue-thu')
    const time = fc.tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }))
    const text = ([h, m]: readonly [number, number]): string =>
      `${String(h).padStart(2, '0')}:${String(m).padStart(2, '0')}`
    const zone = fc.constantFrom('UTC', 'Asia/Shanghai', 'America/New_York')
    const now = fc.integer({ min: at('2026-01-01T00:00:00Z'), max: at('2027-01-01T00:00:00Z') })
    fc.assert(
      fc.property(days, time, time, zone, now, (d, from, to, z, instant) => {
        const parsed = parseWindow(`${d} ${text(from)}-${text(to)} ${z}`)
        if (typeof parsed === 'string') return text(from) === text(to)
        const opens = nextOpening([parsed], instant)
        return opens !== null && opens >= instant && opens - instant <= 8 * 1440 * MINUTE_MS
      }),
      { numRuns: 60 },
    )
  })
})
