/** Several instances in one world, each a target with a certificate of its own (or all with one). */
import type { TargetResult } from '../../lib/report/result.ts'
import { createDeviceEndpoint, type DeviceEndpoint } from '../../sandbox/device-endpoint.ts'
import { createIotda, type Iotda } from '../../sandbox/iotda/iotda.ts'
import type { SandboxSettings } from '../../sandbox/sandbox.ts'
import { cleanups } from './cleanups.ts'
import { openScenario, type Scenario, type ScenarioOptions } from './scenario.ts'

/** One instance of the fleet. */
export interface Member {
  readonly name: string
  readonly domain: string
  readonly iotda: Iotda
  readonly device: DeviceEndpoint
  boundId(): string | null
}

export interface Fleet {
  readonly s: Scenario
  readonly members: readonly Member[]
  /** Writes the settings again: `change` may have something else to say. */
  configure(): Promise<void>
  /** Runs over all targets, or those named; results by name. */
  run(targets?: readonly string[]): Promise<Readonly<Record<string, TargetResult>>>
  later(durationMs: number): Promise<Readonly<Record<string, TargetResult>>>
}

/** In the zone of the sandbox. */
const domainOf = (name: string): string => `${name}.example.com`

const idOf = (i: number): string => `${String(i).padStart(8, '0')}-2222-3333-4444-555555555555`

/** Bound until so many days from now each; `change` edits the settings last. */
export async function openFleet(
  names: readonly string[],
  {
    daysLeft = 60,
    isShared = false,
    change = () => {},
    prepare = async () => {},
    ca = {},
  }: FleetOptions = {},
): Promise<Fleet> {
  const s = await openScenario({ ca })
  await prepare(s)
  const { faults, accessKeys } = s.rig.sandbox
  const { projectId, region } = s.settings(() => {}).targets[0].instance
  const members = await Promise.all(
    names.map(async (name, i): Promise<Member & { readonly instanceId: string }> => {
      const instanceId = idOf(i)
      const iotda = await createIotda({
        ...{ faults, projectId, region, instanceId, keys: accessKeys, now: s.clock.now },
      })
      const device = await createDeviceEndpoint({ iotda, now: s.clock.now })
      cleanups.push(iotda.dispose, device.dispose)
      const domain = domainOf(name)
      const left = typeof daysLeft === 'number' ? daysLeft : daysLeft(i)
      const { certPem, keyPem } = await s.issue(left - 90, left, [domain])
      iotda.createConfiguration(domain, iotda.upload(certPem, keyPem))
      const boundId = () => iotda.configurations()[0]?.server_certificate_id ?? null
      return { name, domain, iotda, device, instanceId, boundId }
    }),
  )
  const configure: Fleet['configure'] = () =>
    s.configure(settings => {
      const [first] = settings.targets
      const certificate = settings.certificates.iot
      settings.targets = members.map(({ name, domain, iotda, device, instanceId }) => ({
        ...first,
        ...{ name, domain, certificate: isShared ? 'iot' : name },
        instance: { ...first.instance, instanceId, endpoint: iotda.url },
        probe: { ...first.probe, port: device.port, addresses: [...device.addresses] },
      }))
      settings.certificates = isShared
        ? { iot: { ...certificate, names: names.map(domainOf), ari: false } }
        : Object.fromEntries(
            names.map(name => [name, { ...certificate, names: [domainOf(name)], ari: false }]),
          )
      change(settings)
    })
  await configure()
  const run: Fleet['run'] = async targets => {
    const { results } = await s.rig.run(targets ? { targets } : {}, { clock: s.clock })
    return Object.fromEntries(results.map(result => [result.target, result]))
  }
  return {
    s,
    members,
    configure,
    run,
    later: durationMs => {
      s.clock.advance(durationMs)
      return run()
    },
  }
}

export interface FleetOptions {
  /** Of each, by its place, or of all. */
  readonly daysLeft?: number | ((i: number) => number)
  readonly isShared?: boolean
  readonly change?: (settings: SandboxSettings) => void
  /** Before the settings are written. */
  readonly prepare?: (s: Scenario) => Promise<void>
  readonly ca?: NonNullable<ScenarioOptions['ca']>
}
