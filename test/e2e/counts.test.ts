import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fillSlots } from '../../sandbox/sandbox.ts'
import { roundsOf, type SeenCall, type Sequence, watchSequence } from '../../sandbox/sequence.ts'
import { createRig, type Rig } from '../support/rig.ts'

/**
 * The numbers of the README, counted in the sandbox's log and never timed. Every answer is late, so that calls
 * which do not wait for each other arrive before the first of them is answered.
 */

const LATE_MS = 250
const IDLE_CHECK = ['device.Handshake + iotda.ListDomainConfigurations + iotda.ListServerCertificates']
/** What is forced, due or in doubt looks at every certificate. */
const WHOLE_LOOK = [...IDLE_CHECK, 'iotda.ShowServerCertificate × 2']
const ROTATION = [
  ...WHOLE_LOOK,
  ...WHOLE_LOOK,
  // Before the order: whether the CA may issue, where the TXT record goes, and that it can be written.
  'dns.CAA × 2 + dns.SOA',
  'dns.SOA',
  'dns.CNAME',
  'dns.NS',
  'dns.SOA',
  'dns.A + dns.AAAA',
  'dns.CNAME',
  // The order and its one authorization.
  'acme.NewNonce',
  'acme.NewOrder',
  'acme.Authorization',
  'httpreq.Present',
  'dns.SOA',
  'dns.SOA',
  'dns.CNAME',
  'dns.NS',
  'dns.SOA',
  'dns.A + dns.AAAA',
  'dns.CNAME',
  'dns.NS',
  'dns.TXT',
  'acme.Challenge',
  'acme.Order',
  'acme.Finalize',
  'acme.Order',
  'acme.Certificate',
  'httpreq.Cleanup',
  // free
  'device.Handshake',
  'iotda.ShowDomainConfiguration',
  'iotda.DeleteServerCertificate',
  // add
  'iotda.ListServerCertificates',
  'iotda.ShowServerCertificate',
  'iotda.CreateServerCertificate',
  'iotda.ShowServerCertificate',
  // bind
  'iotda.ShowDomainConfiguration',
  'iotda.UpdateDomainConfiguration',
  'iotda.ShowDomainConfiguration',
  // verify: three looks in a row
  'device.Handshake',
  'device.Handshake',
  'device.Handshake',
]

let rig: Rig
let sequence: Sequence

/** A first rotation makes the account and fills the caches, a check after it keeps the CA's renewal info. */
beforeAll(async () => {
  rig = await createRig()
  await fillSlots(rig.sandbox)
  expect(await rig.result()).toMatchObject({ outcome: 'rotated', error: null })
  expect((await rig.result()).outcome).toBe('idle')
  rig.sandbox.faults.add({ operations: ['*'], times: Number.MAX_SAFE_INTEGER, delayMs: LATE_MS })
  rig.sandbox.device.switches.delayMs = LATE_MS
  sequence = watchSequence(rig.sandbox)
})
afterAll(async () => {
  sequence.stop()
  await rig.dispose()
})

const linesOf = (calls: readonly SeenCall[]): readonly string[] =>
  roundsOf(calls).map(round => {
    const names = round.map(call => call.operation).sort()
    const counted = [...new Set(names)].map(name => {
      const count = names.filter(other => other === name).length
      return count === 1 ? name : `${name} × ${count}`
    })
    return counted.join(' + ')
  })

const of = (service: string): readonly SeenCall[] =>
  sequence.calls().filter(({ operation }) => operation.startsWith(`${service}.`))
const namesOf = (service: string): readonly string[] =>
  of(service).map(({ operation }) => operation.slice(service.length + 1))

/** The table of `bench/results/round-trips.md` under a heading: what was counted when it was written. */
async function published(heading: string): Promise<readonly string[]> {
  const text = await readFile(new URL('../../bench/results/round-trips.md', import.meta.url), 'utf8')
  const section = text.split(/^## /m).find(part => part.startsWith(heading)) ?? ''
  return [...section.matchAll(/^\| +\d+ \| ([^|]+?) +\|/gm)].map(([, calls]) => calls ?? '')
}

test('an idle check: one round trip to IoTDA, the probe beside it, and no request to the CA', async () => {
  sequence.clear()
  expect((await rig.result()).outcome).toBe('idle')
  expect(roundsOf(of('iotda'))).toHaveLength(1)
  expect(of('acme')).toEqual([])
  const [probe, ...more] = of('device')
  expect(more).toEqual([])
  const firstAnswer = Math.min(...of('iotda').map(call => call.answered ?? Number.POSITIVE_INFINITY))
  expect(probe?.arrived).toBeLessThan(firstAnswer)
  expect(linesOf(sequence.calls())).toEqual(IDLE_CHECK)
  expect(await published('An idle check')).toEqual(IDLE_CHECK)
})

test('a whole rotation with both slots used: every outside call, in its place', async () => {
  await forgetTheFirstRotation()
  rig.sandbox.ca.options.authorizationReuse = false
  sequence.clear()
  const result = await rig.result({ force: true })
  expect(result, JSON.stringify(result.error)).toMatchObject({ outcome: 'rotated' })
  expect(result.deleted).toHaveLength(1)
  expect(namesOf('acme')).toEqual([
    'NewNonce',
    'NewOrder',
    'Authorization',
    'Challenge',
    'Order',
    'Finalize',
    'Order',
    'Certificate',
  ])
  expect(linesOf(sequence.calls())).toEqual(ROTATION)
  expect(await published('A whole rotation')).toEqual(ROTATION)
  expect({
    iotda: roundsOf(of('iotda')).length,
    acme: roundsOf(of('acme')).length,
    httpreq: roundsOf(of('httpreq')).length,
  }).toEqual({ iotda: 13, acme: 8, httpreq: 2 })
})

test('a renewal with a valid authorization: 5 requests to the CA, none to the DNS solver', async () => {
  rig.sandbox.ca.options.authorizationReuse = true
  const { iotda } = rig.sandbox
  const bound = iotda.configurations()[0]?.server_certificate_id
  for (const { id } of iotda.certificates()) if (id !== bound) iotda.deleteCertificate(id)
  // The answer on the new certificate is fetched once, here: one request more.
  sequence.clear()
  expect((await rig.result()).outcome).toBe('idle')
  expect(namesOf('acme')).toEqual(['RenewalInfo'])
  expect(await published('A check that asks the CA')).toEqual(linesOf(sequence.calls()))
  sequence.clear()
  expect((await rig.result()).outcome).toBe('idle')
  expect(of('acme')).toEqual([])
  sequence.clear()
  const result = await rig.result({ force: true })
  expect(result, JSON.stringify(result.error)).toMatchObject({ outcome: 'rotated' })
  expect(namesOf('acme')).toEqual(['NewNonce', 'NewOrder', 'Finalize', 'Order', 'Certificate'])
  expect(of('httpreq')).toEqual([])
  expect(await published('A renewal with a valid authorization')).toEqual(linesOf(sequence.calls()))
})

/** The certificate that was replaced just now is kept for an hour; a target that knows nothing of it deletes it. */
async function forgetTheFirstRotation(): Promise<void> {
  await rm(join(rig.folder, 'state', 'targets'), { recursive: true })
  expect((await rig.result()).outcome).toBe('idle')
}
