/** Zones that BIND signs, serves and validates, broken in every way that happens; each is told with its remedy. */
import { describe, expect, it } from 'vitest'
import { createDns01 } from '../../lib/acme/order/dns01.ts'
import { systemClock } from '../../lib/base/time.ts'
import type { DnsSolver, PropagationSettings } from '../../lib/contracts.ts'
import type { Issuer } from '../../lib/dns/caa.ts'
import { createHttp } from '../../lib/http/client.ts'
import { createRun, createTestLog } from '../solvers/rig.ts'
import { type SignedZone, startSignedWorld } from '../support/bind-dnssec.ts'
import { cleanups } from '../support/cleanups.ts'
import { errorOf } from './rig.ts'

const ISSUER: Issuer = { identities: ['ca.test'], accountUrl: null }
const CAA = '@ CAA 0 issue "ca.test"'
const without =
  (...patterns: readonly RegExp[]) =>
  (text: string): string =>
    text
      .split('\n')
      .filter(line => !patterns.some(it => it.test(line)))
      .join('\n')
const RRSIG = (type: string): RegExp => new RegExp(`\\sRRSIG\\s+${type}\\s`)

interface Broken extends Omit<SignedZone, 'name'> {
  /** What is asked for, when it is not the zone itself. */
  readonly asked?: string
  readonly says: RegExp
  readonly remedy: RegExp
}

const ANEW = /sign the zone anew/
const DS = /remove the DS records/
const BROKEN: Readonly<Record<string, Broken>> = {
  ended: { holds: ['now-3d', 'now-1d'], says: /signatures of ended\.test ended at 20/, remedy: ANEW },
  early: {
    holds: ['now+1d', 'now+9d'],
    says: /signatures of early\.test do not hold before 20/,
    remedy: /Set the clock/,
  },
  rolled: {
    ds: (_, other) => other,
    says: /DS records of rolled\.test are for key \d+, but its keys are \d+, \d+/,
    remedy: DS,
  },
  digest: {
    ds: own => own.replace(/.$/, it => (it === '0' ? '1' : '0')),
    says: /another digest than its keys/,
    remedy: DS,
  },
  unsigned: { holds: null, says: /but unsigned\.test is not signed/, remedy: DS },
  keys: {
    edit: without(RRSIG('DNSKEY')),
    says: /the DNSKEY records of keys\.test are not signed/,
    remedy: ANEW,
  },
  zsk: {
    edit: (signed, other) =>
      [
        ...without(/\sDNSKEY\s/)(signed).split('\n'),
        ...other.split('\n').filter(it => /\sDNSKEY\s/.test(it)),
        '',
      ].join('\n'),
    says: /records of zsk\.test are signed by key \d+, which is not among its keys/,
    remedy: ANEW,
  },
  forged: {
    edit: text => text.replace('"ca.test"', '"ca.other"'),
    says: /signatures of forged\.test do not fit/,
    remedy: ANEW,
  },
  bare: { edit: without(RRSIG('CAA')), says: /the CAA records of bare\.test are not signed/, remedy: ANEW },
  denial: {
    records: [],
    edit: text => text.replace(/(\sNSEC\s+denial\.test\. )NS/, '$1A NS'),
    says: /denial\.test does not prove that there are no CAA records/,
    remedy: ANEW,
  },
}
const CHILD: SignedZone = { name: 'child.ended.test', records: [CAA] }
const ALIASED: SignedZone = { name: 'aliased.test', records: [CAA, '_acme-challenge CNAME x.ended.test.'] }
const healthy = (name: string): SignedZone => ({ name: `${name}.test`, records: [CAA] })
const GOOD: SignedZone = healthy('good')
const PLAIN: SignedZone = { ...healthy('plain'), holds: null, ds: () => '' }

const broken = (): readonly SignedZone[] => [
  ...Object.entries(BROKEN).map(([name, { says: _, remedy: __, ...zone }]) => ({
    ...healthy(name),
    ...zone,
  })),
]

const open = async () => {
  const world = await startSignedWorld([...broken(), CHILD, ALIASED, GOOD, PLAIN])
  cleanups.push(world.dispose)
  const http = createHttp()
  cleanups.push(http.close)
  const { log, entries } = createTestLog()
  const dns = async (resolvers: readonly string[], emergency = false) => {
    const propagation: PropagationSettings = {
      ...{ check: 'authoritative', caCertificates: null, nameservers: [], port: world.port },
      ...{ resolvers, withinMs: 1_000, everyMs: 100, settleMs: 0 },
    }
    const solver: DnsSolver = {
      propagation,
      prepare: async () => null,
      present: async () => {},
      cleanUp: async () => {},
    }
    return createDns01(
      () => solver,
      () => http,
      createRun(systemClock, log),
      emergency,
    )
  }
  return { world, dns, entries }
}

describe('a chain of trust', () => {
  it('that is broken: no order, and the zone and the remedy are named; healed, and in the emergency, there is one', async () => {
    const { world, dns, entries } = await open()
    const resolver = await world.resolver()
    const before = await dns([resolver])
    for (const [name, { says, remedy }] of Object.entries(BROKEN)) {
      const error = await errorOf(before.prepare([`${name}.test`], ISSUER))
      expect.soft([error.code, error.message], name).toEqual(['dnssec-broken', expect.stringMatching(says)])
      expect.soft(error.hint, name).toMatch(remedy)
      expect.soft(error.hint, name).toContain(`zone ${name}.test`)
    }
    for (const name of ['child.ended.test', 'aliased.test'])
      expect.soft(await errorOf(before.prepare([name], ISSUER))).toMatchObject({
        code: 'dnssec-broken',
        message: expect.stringMatching(/signatures of ended\.test ended/),
      })
    await before.prepare(['good.test', 'plain.test'], ISSUER)

    // The emergency tries all the same.
    const pressed = await dns([resolver], true)
    for (const name of Object.keys(BROKEN).filter(it => it !== 'forged'))
      await pressed.prepare([`${name}.test`], ISSUER)
    expect(entries.some(it => it.message.startsWith('going on without DNSSEC'))).toBe(true)

    // One that does not validate cannot tell, and does not outweigh one that does.
    const blind = await world.resolver(false)
    await (await dns([blind])).prepare(['ended.test'], ISSUER)
    const both = await errorOf((await dns([resolver, blind])).prepare(['ended.test'], ISSUER))
    expect(both.code).toBe('dnssec-broken')

    const names = Object.keys(BROKEN)
    await world.serve([...names.map(healthy), CHILD, ALIASED, GOOD, PLAIN])
    const healed = await dns([await world.resolver()])
    await healed.prepare([...names.map(it => `${it}.test`), 'child.ended.test', 'aliased.test'], ISSUER)
  })
})
