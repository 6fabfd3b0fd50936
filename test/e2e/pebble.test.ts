import { X509Certificate } from 'node:crypto'
import { Resolver } from 'node:dns/promises'
import { expect, test } from 'vitest'
import { type Clock, DAY_MS, HOUR_MS, systemClock } from '../../lib/base/time.ts'
import { fillSlots, type SandboxSettings } from '../../sandbox/sandbox.ts'
import { cleanups } from '../support/cleanups.ts'
import { cli } from '../support/command.ts'
import { serveHttpreq } from '../support/httpreq-challtestsrv.ts'
import { type Pebble, type PebbleOptions, startPebble } from '../support/pebble.ts'
import { put } from '../support/put.ts'
import { createRig, type Rig } from '../support/rig.ts'

/** Getting Pebble the first time builds or downloads it. */
const GET_MS = 300_000

interface World {
  readonly rig: Rig
  readonly pebble: Pebble
  /** Ids of what was there before. */
  readonly slots: { readonly bound: string; readonly spare: string }
  bound(): X509Certificate
}

/** The settings file points at real Pebble with its test DNS server: nothing of ours stands in between. */
async function withPebble(
  options: PebbleOptions,
  change: (settings: SandboxSettings, roots: readonly string[]) => void = () => {},
  now = Date.now,
): Promise<World> {
  const rig = await createRig({ now })
  cleanups.push(rig.dispose)
  const pebble = await startPebble(options)
  cleanups.push(pebble.dispose)
  const httpreq = await serveHttpreq(pebble.challtestsrv)
  cleanups.push(httpreq.dispose)
  const slots = await fillSlots(rig.sandbox)
  const roots = await pebble.roots()
  await rig.configure(settings => {
    settings.sources = {
      pebble: {
        type: 'acme',
        directory: pebble.directoryUrl,
        termsOfServiceAgreed: true,
        solver: 'dns',
        caCertificates: pebble.caPem,
      },
    }
    settings.certificates.iot.source = 'pebble'
    settings.solvers.dns = {
      type: 'webhook',
      url: httpreq.url,
      propagation: { nameservers: [pebble.challtestsrv.dnsServer], every: '100ms' },
    }
    settings.targets[0].trustedRoots = `${rig.sandbox.ca.rootPem}${roots[0]}`
    change(settings, roots)
  })
  return {
    rig,
    pebble,
    slots,
    bound: () => new X509Certificate(rig.sandbox.iotda.bound()?.certificatePem ?? ''),
  }
}

const MAC_KEY = Buffer.alloc(32, 7).toString('base64url')
const THREE = ['iot.example.com', '*.iot.example.com', 'iot.other.example']
const days = ({ validFrom, validTo }: X509Certificate): number =>
  Math.round((Date.parse(validTo) - Date.parse(validFrom)) / DAY_MS)

type Case = readonly [
  what: string,
  options: PebbleOptions,
  change: (settings: SandboxSettings, roots: readonly string[]) => void,
  expected: Partial<{ days: number; names: readonly string[]; fingerprints: number }>,
]
const cases: readonly Case[] = [
  ['every nonce is good', {}, () => {}, {}],
  ['30 % of the nonces are refused', { nonceRejectPercent: 30 }, () => {}, {}],
  [
    'three names, wildcard and apex among them',
    {},
    put({ 'certificates.iot.names': THREE }),
    { names: THREE },
  ],
  [
    'an external account is required',
    { eab: { 'kid-1': MAC_KEY } },
    put({ 'sources.pebble.externalAccount': { kid: 'kid-1', hmacKey: 'env:TEST_MAC_KEY' } }),
    {},
  ],
  [
    'a profile is asked for',
    { profiles: { classic: 90, shortlived: 6 } },
    put({ 'certificates.iot.profile': 'shortlived' }),
    { days: 6 },
  ],
  [
    'a dropped profile has another one in its place',
    { profiles: { classic: 90, tlsserver: 45 } },
    settings => {
      Object.assign(settings.certificates.iot, { profile: 'shortlived', profileFallback: 'tlsserver' })
    },
    { days: 45 },
  ],
  [
    'devices know the last of three roots only',
    { alternateRoots: 2 },
    (settings, roots) => {
      const [target] = settings.targets
      target.trustedRoots = target.trustedRoots.replace(roots[0], roots[2])
    },
    {},
  ],
]

test.each(cases)(
  'a rotation against Pebble, %s',
  async (_, options, change, expected) => {
    const { rig, pebble, slots, bound } = await withPebble(options, change)
    const { code, stdout, stderr } = await cli(rig, ['rotate', '--json'], { TEST_MAC_KEY: MAC_KEY })
    expect(code, stdout + stderr).toBe(0)
    const [result] = JSON.parse(stdout).results
    expect(result.outcome).toBe('rotated')
    expect(bound().issuer).toContain('Pebble')
    expect(bound().fingerprint256.replaceAll(':', '').toLowerCase()).toBe(result.after.fingerprint)
    expect(days(bound())).toBe(expected.days ?? 90)
    expect(result.after.names.toSorted()).toEqual([...(expected.names ?? [rig.sandbox.domain])].sort())
    expect(rig.sandbox.iotda.certificates().map(c => c.id)).toContain(slots.bound)
    const resolver = new Resolver()
    resolver.setServers([pebble.challtestsrv.dnsServer])
    for (const name of new Set(result.after.names.map((it: string) => it.replace('*.', ''))))
      expect(await resolver.resolveTxt(`_acme-challenge.${name}`).catch(() => [])).toEqual([])
  },
  GET_MS,
)

test('Pebble calls a certificate back: it is renewed once, with its predecessor, and the reason is told', {
  timeout: GET_MS,
}, async () => {
  let ahead = 0
  const clock: Clock = { ...systemClock, now: () => Date.now() + ahead }
  const { rig, pebble, bound } = await withPebble({}, undefined, clock.now)
  const run = () => rig.result({}, { clock })
  expect(await run()).toMatchObject({ outcome: 'rotated', error: null })
  const why = 'https://pebble.test/incident'
  const recall = () =>
    pebble.setRenewalInfo(
      rig.sandbox.iotda.bound()?.certificatePem ?? '',
      JSON.stringify({
        suggestedWindow: { start: '2026-01-01T00:00:00Z', end: '2026-01-02T00:00:00Z' },
        explanationURL: why,
      }),
    )
  await recall()
  ahead += 2 * HOUR_MS
  const before = bound().fingerprint256
  // The first one had a predecessor that Pebble does not know.
  rig.logged.length = 0
  const renewed = await run()
  expect(renewed, JSON.stringify(renewed.error)).toMatchObject({
    outcome: 'rotated',
    decision: { reason: 'renewal-window' },
  })
  expect(renewed.decision.detail).toContain(why)
  expect(bound().fingerprint256).not.toBe(before)
  // Pebble took `replaces`.
  expect(rig.logged.filter(line => line.includes('without the predecessor'))).toEqual([])
  // Should it call back the next one as well, it is not renewed at every run.
  await recall()
  for (let i = 0; i < 3; i += 1) {
    ahead += 2 * HOUR_MS
    expect(await run()).toMatchObject({ outcome: 'idle' })
  }
  // An answer that cannot be used is none.
  await pebble.setRenewalInfo(rig.sandbox.iotda.bound()?.certificatePem ?? '', '<html>')
  ahead += DAY_MS
  expect(await run()).toMatchObject({ outcome: 'idle' })
})
