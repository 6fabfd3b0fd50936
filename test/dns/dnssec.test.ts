/** Zones that BIND signs, serves and validates, broken in every way that happens; each is told with its remedy. */
import { createSocket } from 'node:dgram'
import packet from 'dns-packet'
import { describe, expect, it } from 'vitest'
import { createDns01 } from '../../lib/acme/order/dns01.ts'
import { systemClock } from '../../lib/base/time.ts'
import type { DnsSolver } from '../../lib/contracts.ts'
import type { Issuer } from '../../lib/dns/caa.ts'
import { lameServers } from '../../lib/dns/delegation.ts'
import type { DnsAccess } from '../../lib/dns/resolve/lookup.ts'
import { checkName } from '../../lib/doctor/check-name.ts'
import { createHttp } from '../../lib/http/client.ts'
import { createRun, createTestLog } from '../solvers/rig.ts'
import { freePort } from '../support/bind.ts'
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

const FADING: SignedZone = { ...healthy('fading'), holds: ['now-27d', 'now+3d'] }

const open = async (zones: readonly SignedZone[] = []) => {
  const world = await startSignedWorld([GOOD, PLAIN, ...zones])
  cleanups.push(world.dispose)
  const http = createHttp()
  cleanups.push(http.close)
  const { log, entries } = createTestLog()
  const accessOf = (...resolvers: readonly string[]): DnsAccess => ({
    propagation: {
      ...{ check: 'authoritative', caCertificates: null, nameservers: [], port: world.port },
      ...{ resolvers, withinMs: 1_000, everyMs: 100, settleMs: 0 },
    },
    http: () => http,
    run: createRun(systemClock, log),
  })
  const solverOf = ({ propagation }: DnsAccess): DnsSolver => ({
    ...{ propagation, prepare: async () => null, present: async () => {}, cleanUp: async () => {} },
  })
  const dns = (resolvers: readonly string[], emergency = false) => {
    const access = accessOf(...resolvers)
    return createDns01(() => solverOf(access), access.http, access.run, emergency)
  }
  const examine = (name: string, resolver: string) => {
    const access = accessOf(resolver)
    const issuers = { ca: ISSUER }
    const about = { domain: `${name}.test`, wildcards: [false], issuers, isShared: false, write: false }
    return checkName({ ...about, solver: solverOf(access), access })
  }
  return { world, dns, entries, accessOf, examine }
}

/** Passes questions on to a resolver, and counts them. */
const counting = async (resolver: string) => {
  const [host = '', port] = resolver.split(':')
  const asked: string[] = []
  const front = createSocket('udp4')
  front.on('message', (message, from) => {
    asked.push(
      `${packet.decode(message).questions?.[0]?.type} ${packet.decode(message).questions?.[0]?.name}`,
    )
    const back = createSocket('udp4')
    back.once('message', answer => front.send(answer, from.port, from.address, () => back.close()))
    back.send(message, Number(port), host)
  })
  await new Promise<void>(resolve => front.bind(0, '127.0.0.1', resolve))
  cleanups.push(() => void front.close())
  return { resolver: `127.0.0.1:${front.address().port}`, asked }
}

describe('a chain of trust', () => {
  it('that is broken: no order, and the zone and the remedy are named; healed, and in the emergency, there is one', async () => {
    const { world, dns, entries } = await open([...broken(), CHILD, ALIASED])
    const resolver = await world.resolver()
    const before = dns([resolver])
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
    const pressed = dns([resolver], true)
    for (const name of Object.keys(BROKEN).filter(it => it !== 'forged'))
      await pressed.prepare([`${name}.test`], ISSUER)
    expect(entries.some(it => it.message.startsWith('going on without DNSSEC'))).toBe(true)

    // One that does not validate cannot tell, and does not outweigh one that does.
    const blind = await world.resolver(false)
    await dns([blind]).prepare(['ended.test'], ISSUER)
    for (const both of [
      [resolver, blind],
      [blind, resolver],
    ])
      expect((await errorOf(dns(both).prepare(['ended.test'], ISSUER))).code).toBe('dnssec-broken')
    // One that is not there stops nobody.
    await dns([blind, `127.0.0.1:${await freePort()}`]).prepare(['good.test'], ISSUER)

    const names = Object.keys(BROKEN)
    await world.serve([...names.map(healthy), CHILD, ALIASED, GOOD, PLAIN])
    const healed = dns([await world.resolver()])
    await healed.prepare([...names.map(it => `${it}.test`), 'child.ended.test', 'aliased.test'], ISSUER)
  })

  it('costs no question before an order, and one or three in the look ahead', async () => {
    const { world, dns } = await open()
    const { resolver, asked } = await counting(await world.resolver())
    const count = async (work: (it: ReturnType<typeof dns>) => Promise<unknown>): Promise<number> => {
      asked.length = 0
      await work(dns([resolver]))
      return asked.length
    }
    const signed = await count(it => it.prepare(['good.test'], ISSUER))
    // CAA of the name, its zone (SOA, no alias of it), the name servers there and above, and their addresses.
    expect(signed).toBe(await count(it => it.prepare(['plain.test'], ISSUER)))
    const located = await count(it => it.prepare(['plain.test'], null))
    expect(await count(it => it.outlook(['plain.test'], Date.now()))).toBe(located + 1)
    expect(await count(it => it.outlook(['good.test'], Date.now()))).toBe(located + 3)
  })

  it('whose signatures are not made anew: a warning before the next renewal; one that is fresh, or unsigned: none', async () => {
    const { world, dns, examine } = await open([
      FADING,
      ...broken().filter(({ name }) => name === 'ended.test'),
    ])
    const resolver = await world.resolver()
    const renewalAt = Date.now() + 60 * 86_400_000
    const ahead = (name: string, until = renewalAt) => dns([resolver]).outlook([`${name}.test`], until)
    expect(await ahead('fading')).toEqual([
      expect.stringMatching(/^DNSSEC signatures of fading\.test end at 20\S+Z, in 2d 23h.*not made anew/),
    ])
    expect(await ahead('fading', Date.now() + 86_400_000)).toEqual([])
    for (const name of ['good', 'plain']) expect(await ahead(name)).toEqual([])
    expect(await ahead('ended')).toEqual([expect.stringMatching(/signatures of ended\.test ended/)])

    const found = async (name: string, by = resolver) =>
      (await examine(name, by)).filter(it => it.check === 'dnssec').map(it => `${it.verdict} ${it.message}`)
    expect(await found('fading')).toEqual([expect.stringMatching(/^warn DNSSEC signatures of fading/)])
    expect(await found('good')).toEqual([
      expect.stringMatching(/^ok good\.test is signed until .* validates it$/),
    ])
    expect(await found('plain')).toEqual([])
    const blind = await world.resolver(false)
    expect(await found('good', blind)).toEqual([expect.stringMatching(/^warn .*resolver does not validate$/)])
    const zone = (await examine('ended', resolver)).filter(it => it.verdict === 'fail')
    expect(zone.map(it => [it.check, it.message.split(':')[0]])).toEqual([
      ['dns-zone', 'dnssec-broken'],
      ['caa', 'dnssec-broken'],
    ])
  })

  it('that only some of the name servers keep up: each is named', async () => {
    const [good, stale] = await Promise.all([
      startSignedWorld([GOOD, { ...PLAIN, name: 'x.test' }]),
      startSignedWorld([
        { ...GOOD, holds: null },
        { ...healthy('x'), holds: ['now-9d', 'now-1d'] },
      ]),
    ])
    cleanups.push(good.dispose, stale.dispose)
    const { accessOf } = await open()
    const at = (zone: string) => ({
      ...{ name: `_acme-challenge.${zone}`, aliases: [], zone, nameServers: [], delegation: [] },
      servers: [good, stale].map(({ port }, nth) => ({
        name: `ns${nth + 1}.test`,
        address: '127.0.0.1',
        port,
      })),
    })
    const lame = async (zone: string) =>
      (await lameServers(at(zone), accessOf())).map(({ server, why }) => `${server.name}: ${why}`)
    expect(await lame('good.test')).toEqual(['ns2.test: it gives no DNSSEC signatures, unlike others'])
    expect(await lame('x.test')).toEqual([
      'ns1.test: it gives no DNSSEC signatures, unlike others',
      expect.stringMatching(/^ns2\.test: its DNSSEC signatures ended at 20/),
    ])
  })
})
