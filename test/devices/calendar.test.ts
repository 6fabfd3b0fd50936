import { describe, expect, test } from 'vitest'
import { calendar } from '../../lib/devices/calendar.ts'
import { build, LIFE } from '../support/chain.ts'
import { caExtensions, DAY_MS, type Issued, issue, NOW } from '../support/issue.ts'
import { profile } from './profile.ts'

const root = (subject: string, daysLeft: number, keys?: Issued['keys']): Promise<Issued> =>
  issue({
    subject,
    notBefore: LIFE.notBefore,
    notAfter: NOW + daysLeft * DAY_MS,
    extensions: caExtensions(),
    ...(keys ? { keys } : {}),
  })
/** What it says of devices that all hold these roots; null: Node's. */
const entriesOf = (trustedRoots: string | null, chainPem: string | null, at = NOW) =>
  calendar({ target: { trustedRoots, profiles: [] }, chainPem, at })
const pemOf = (...all: Issued[]): string => all.map(({ pem }) => pem).join('')

describe('the calendar of roots', () => {
  test('says nothing when all is far off, or nothing is known', async () => {
    const { root: far, middle, leaf } = await build()
    const chainPem = pemOf(leaf, middle)
    expect(entriesOf(far.pem, chainPem)).toEqual([])
    expect(entriesOf(null, null)).toEqual([])
    expect(entriesOf(null, 'x')).toEqual([])
  })

  test('names roots and cross-signs that end within 90 days, the first one first', async () => {
    const old = await root('CN=Old Root', 80)
    const { root: newer, middle, leaf } = await build()
    const cross = await issue({
      subject: 'CN=Root',
      keys: newer.keys,
      issuer: old,
      notAfter: NOW + 30 * DAY_MS,
      extensions: caExtensions(),
    })
    const profiles = [
      profile({ name: 'meter-v1', trustedRoots: old.pem }),
      profile({ name: 'b', trustedRoots: newer.pem }),
    ]
    const chainPem = pemOf(leaf, middle, cross)
    const entries = calendar({ target: { trustedRoots: null, profiles }, chainPem, at: NOW })
    expect(entries).toEqual([
      { at: NOW + 30 * DAY_MS, message: 'on the served path "CN=Root" ends in 30d, at 2026-07-15T12:00:00Z' },
      {
        at: NOW + 80 * DAY_MS,
        message:
          'the root of profile meter-v1 that is in use, "CN=Old Root" ends in 80d, at 2026-09-03T12:00:00Z',
      },
    ])
    const sooner = { target: { trustedRoots: null, profiles }, chainPem, at: NOW, aheadMs: 29 * DAY_MS }
    expect(calendar(sooner)).toEqual([])
  })

  test('a root of several profiles is one entry that names them all', async () => {
    const { root: soon, middle, leaf } = await build({ root: { notAfter: NOW + 80 * DAY_MS } })
    const far = await root('CN=Far', 900)
    const of = (name: string, ...roots: Issued[]) => profile({ name, trustedRoots: pemOf(...roots) })
    const profiles = [of('a', soon), of('b', far), of('c', far, soon, soon)]
    const target = { trustedRoots: null, profiles }
    const messages = (chainPem: string | null) =>
      calendar({ target, chainPem, at: NOW }).map(({ message }) => message)
    expect(messages(pemOf(leaf, middle))).toEqual([
      'the root of profiles a, c that is in use, "CN=Root" ends in 80d, at 2026-09-03T12:00:00Z',
    ])
    expect(messages(null)).toEqual([
      'the root of profiles a, c "CN=Root" ends in 80d, at 2026-09-03T12:00:00Z',
    ])
  })

  test('the leaf is not its business', async () => {
    const { root: far, middle, leaf } = await build({ leaf: { notAfter: NOW + DAY_MS } })
    expect(entriesOf(far.pem, pemOf(leaf, middle))).toEqual([])
  })

  test('roots that are not in use count as well, but not those that ended or were renewed', async () => {
    const spare = await root('CN=Spare', 10)
    const gone = await root('CN=Gone', -10)
    const renewed = await root('CN=Twice', 20)
    const again = await root('CN=Twice', 900, renewed.keys)
    const held = pemOf(spare, gone, renewed, again)
    expect(entriesOf(held, null).map(({ message }) => message)).toEqual([
      'the root of the devices "CN=Spare" ends in 10d, at 2026-06-25T12:00:00Z',
    ])
  })

  test("of Node's roots only the one in use is looked at: most are none of the devices' business", async () => {
    const at = Date.parse('2040-01-01T00:00:00Z')
    expect(entriesOf(null, null, at)).toEqual([])
  })
})
