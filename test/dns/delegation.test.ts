/** Whether what a solver writes would be seen where DNS leads. */
import { describe, expect, it } from 'vitest'
import { RotationError } from '../../lib/base/rotation-error.ts'
import { lameServers, requireSameZone, zoneError } from '../../lib/dns/delegation.ts'
import { locate } from '../../lib/dns/locate.ts'
import type { DnsAccess } from '../../lib/dns/resolve/lookup.ts'
import {
  A,
  acme,
  B,
  CHILD,
  cname,
  delegated,
  errorOf,
  example,
  lame,
  NAME,
  NOBODY,
  ns,
  OTHER,
  start,
  startHttps,
  TARGET,
  txt,
  type Zone,
} from './rig.ts'

type Started = { readonly access: () => DnsAccess }
const IOT = '_acme-challenge.iot.example.com'
const child = (name: string): Zone => ({ name, ns: [{ name: `ns.${name}`, address: CHILD }] })

/** Compares where DNS leads with a zone that the solver writes to. */
const compare = async (
  { access }: Started,
  name: string,
  written: { readonly name: string; readonly nameServers?: readonly string[] },
) => requireSameZone(await locate(name, access()), { nameServers: [], ...written }, access())

const BOTH = [
  ['authoritative', start],
  ['over HTTPS', startHttps],
] as const

describe.each(BOTH)('the zone of a name (%s)', (_, open) => {
  it.each([
    ['without name servers', []],
    ['with the same ones', ['NS1.example.com.', 'ns2.example.com.']],
    ['with one of them', ['ns2.example.com', 'ns9.elsewhere.test']],
    // ns.acme.test has the address of nobody in the delegation; own names may have.
    ['with ones that have no address', ['ns.nowhere.test']],
  ])('is that of the solver, %s', async (_name, nameServers) => {
    const bench = await open([example(), acme])
    await compare(bench, IOT, { name: 'Example.com.', nameServers })
  })

  it('may be served under names of one\u2019s own', async () => {
    const bench = await open([example([{ name: 'vanity.example.com', type: 'A', values: [B] }])])
    await compare(bench, IOT, { name: 'example.com', nameServers: ['vanity.example.com'] })
  })

  it('may be copied by others from the primary server of the solver', async () => {
    const bench = await open([example(), acme])
    const soa = 'ns.acme.test hostmaster.example.com 1 7200 900 1209600 300'
    bench.dns.zones.set({ name: 'example.com', type: 'SOA', values: [soa] })
    await compare(bench, IOT, { name: 'example.com', nameServers: ['ns.acme.test'] })
  })

  it('is delegated to others than the solver writes to', async () => {
    const bench = await open([example(), acme])
    const nameServers = ['ns.acme.test.']
    expect(await errorOf(compare(bench, IOT, { name: 'example.com', nameServers }))).toMatchObject({
      code: 'delegation-mismatch',
      retry: 'never',
      message:
        'DNS: example.com is delegated to ns1.example.com, ns2.example.com, but the solver writes to ns.acme.test',
      hint: expect.stringContaining('Where example.com is registered'),
    })
  })

  it('is one below the zone that the solver writes to', async () => {
    const bench = await open([example(), child('iot.example.com')])
    expect(await errorOf(compare(bench, IOT, { name: 'example.com' }))).toMatchObject({
      code: 'delegation-mismatch',
      message: `DNS: ${IOT} is in the zone iot.example.com (NS ns.iot.example.com), but the solver writes to example.com`,
    })
  })

  it('is the challenge name itself, delegated elsewhere', async () => {
    const bench = await open([example(), delegated(IOT), acme])
    expect(await errorOf(compare(bench, IOT, { name: 'example.com' }))).toMatchObject({
      message: `DNS: ${IOT} is in the zone ${IOT} (NS ns.acme.test), but the solver writes to example.com`,
      hint: expect.stringContaining(`remove the NS records of ${IOT} from example.com`),
    })
    await compare(bench, IOT, { name: IOT })
  })

  it('is one above a zone that nobody delegates to', async () => {
    const bench = await open()
    expect(await errorOf(compare(bench, IOT, { name: 'iot.example.com' }))).toMatchObject({
      code: 'delegation-mismatch',
      message:
        'DNS: the solver writes to the zone iot.example.com, which no NS record in example.com delegates to',
    })
  })

  it('is not compared where the service does not tell', async () => {
    const { access } = await open()
    await expect(requireSameZone(await locate(IOT, access()), null, access())).resolves.toBeUndefined()
  })
})

it('nothing is compared where the settings name the servers', async () => {
  const { access, dns } = await start()
  const given = access({ nameservers: [`${A}:${dns.port}`] })
  const location = await locate(IOT, given)
  const written = { name: 'iot.example.com', nameServers: ['ns.acme.test'] }
  await expect(requireSameZone(location, written, given)).resolves.toBeUndefined()
})

describe('a delegation that the zone itself contradicts', () => {
  const SUB = '_acme-challenge.iot.sub.example.com'
  const [OLD, NEW] = ['ns.sub.example.com', 'ns.new.test']

  /** The zone has moved to a new service, and says so in both places; the zone above still names the old one. */
  const startMoved = async () => {
    const sub: Zone = {
      name: 'sub.example.com',
      ns: [
        { name: OLD, address: CHILD },
        { name: NEW, address: OTHER },
      ],
    }
    const bench = await start([example(), sub])
    const { zones } = bench.dns
    const at = (name: string) => zones.list.find(it => it.name === name)
    const [above, below] = [at('example.com'), at('sub.example.com')]
    if (!above || !below) throw new Error('the zones are missing')
    const nameIn = (zone: typeof above, ...values: string[]) =>
      zones.set({ zone, name: 'sub.example.com', type: 'NS', values })
    nameIn(below, NEW)
    nameIn(above, OLD)
    const soaOf = (primary: string) =>
      zones.set({
        zone: below,
        name: 'sub.example.com',
        type: 'SOA',
        values: [`${primary} hostmaster.sub.example.com 1 7200 900 1209600 300`],
      })
    soaOf(OLD)
    return { ...bench, above, nameIn, soaOf }
  }

  it('is seen: resolvers are sent to the servers that the zone above names', async () => {
    const bench = await startMoved()
    expect(await locate(SUB, bench.access())).toMatchObject({
      zone: 'sub.example.com',
      nameServers: [NEW],
      delegation: [OLD],
      servers: [{ address: OTHER }, { address: CHILD }],
    })
    const written = { name: 'sub.example.com', nameServers: [NEW] }
    expect(await errorOf(compare(bench, SUB, written))).toMatchObject({
      code: 'delegation-mismatch',
      message: `DNS: sub.example.com is delegated to ${OLD}, but the solver writes to ${NEW}`,
      hint: expect.stringContaining('Where sub.example.com is registered'),
    })
  })

  it('is none when both name the solver\u2019s, one of them at least', async () => {
    const { above, nameIn, ...bench } = await startMoved()
    nameIn(above, OLD, NEW)
    await compare(bench, SUB, { name: 'sub.example.com', nameServers: [NEW] })
  })

  it('is none when its servers copy the zone from the solver\u2019s', async () => {
    const { soaOf, ...bench } = await startMoved()
    soaOf(NEW)
    await compare(bench, SUB, { name: 'sub.example.com', nameServers: [NEW] })
  })

  it('is not known when the zone above cannot be asked', async () => {
    const bench = await startMoved()
    for (const address of [A, B]) bench.dns.setNode(address, { servfail: ['NS'] })
    expect(await locate(SUB, bench.access())).toMatchObject({ nameServers: [NEW], delegation: [] })
    await compare(bench, SUB, { name: 'sub.example.com', nameServers: [NEW] })
  })

  it('keeps a value from being shown to the CA before the servers above have it', async () => {
    const bench = await startMoved()
    bench.dns.setNode(CHILD, { lagMs: 20_000 })
    bench.dns.zones.set(txt(SUB, 'v'))
    await bench.wait(SUB, 'v')
    expect(bench.clock.waits.reduce((sum, ms) => sum + ms, 0)).toBeGreaterThanOrEqual(20_000)
  })
})

describe('a lame delegation', () => {
  it('of all servers: they refuse', async () => {
    const bench = await start([
      example([{ name: 'ns9.example.com', type: 'A', values: [CHILD] }], ns(A)),
      acme,
    ])
    bench.dns.zones.set({ name: 'example.com', type: 'NS', values: ['ns9.example.com'] })
    expect(await errorOf(locate(IOT, bench.access()))).toMatchObject({
      code: 'delegation-mismatch',
      retry: 'never',
      message: `DNS: the NS records of example.com name servers that do not serve it (ns9.example.com (${CHILD}): REFUSED)`,
      hint: expect.stringContaining('Where example.com is registered'),
    })
  })

  it('of all servers: they only refer to others', async () => {
    const { access, dns } = await start([example(), child('sub.example.com')])
    for (const zone of dns.zones.list)
      dns.zones.set({ zone, name: 'sub.example.com', type: 'NS', values: ['ns1.example.com'] })
    expect(await errorOf(locate('_acme-challenge.iot.sub.example.com', access()))).toMatchObject({
      code: 'delegation-mismatch',
      message: `DNS: the NS records of sub.example.com name servers that do not serve it (ns1.example.com (${A}): it is no authority for the zone)`,
    })
  })

  it('of one beside a server that is not there is a doubt, no refusal', async () => {
    const records = [
      { name: 'ns8.example.com', type: 'A' as const, values: [NOBODY] },
      { name: 'ns9.example.com', type: 'A' as const, values: [CHILD] },
    ]
    const { access, dns } = await start([example(records, ns(A)), acme])
    dns.zones.set({ name: 'example.com', type: 'NS', values: ['ns8.example.com', 'ns9.example.com'] })
    expect(await errorOf(locate(IOT, access()))).toMatchObject({ code: 'unavailable' })
  })

  it('of one beside one that answers stops nothing, and is found', async () => {
    const { access } = await start([example(lame, ns(A))])
    const location = await locate(IOT, access())
    expect(await lameServers(location, access())).toEqual([
      { server: expect.objectContaining({ address: CHILD }), why: 'REFUSED' },
    ])
  })

  it('is none where every server is an authority', async () => {
    const { access } = await start()
    expect(await lameServers(await locate(IOT, access()), access())).toEqual([])
  })
})

describe('a solver without a zone for the name', () => {
  const missing = new RotationError('solver-zone-missing', 'solver dns (test): no zone', { retry: 'never' })
  const told = async ({ access }: Started, name = IOT) =>
    (await zoneError(missing, await locate(name, access()), access())) as RotationError

  it.each(BOTH)('behind a wildcard alias is told of the wildcard (%s)', async (_, open) => {
    const bench = await open([example([cname('*.example.com', TARGET)]), acme])
    expect(await told(bench)).toMatchObject({
      code: 'delegation-mismatch',
      retry: 'never',
      message: `DNS: the wildcard *.example.com answers for ${IOT} with an alias (CNAME) of ${TARGET}, where the solver cannot write: solver dns (test): no zone`,
      hint: expect.stringContaining(`Give ${IOT} a record of its own`),
    })
  })

  it.each(BOTH)('behind an alias of its own is told of that (%s)', async (_, open) => {
    const bench = await open([example([cname(IOT, TARGET), cname('*.example.com', 'other.acme.test')]), acme])
    expect(await told(bench)).toMatchObject({
      code: 'delegation-mismatch',
      message: `DNS: ${IOT} is an alias (CNAME) of ${TARGET}, where the solver cannot write: solver dns (test): no zone`,
    })
  })

  it('without any alias is left as it is', async () => {
    expect(await told(await start(), NAME)).toBe(missing)
  })

  it('is the only failure that is told so', async () => {
    const { access } = await start([example([cname('*.example.com', TARGET)]), acme])
    const other = new RotationError('forbidden', 'solver dns (test): no')
    expect(await zoneError(other, await locate(IOT, access()), access())).toBe(other)
  })
})
