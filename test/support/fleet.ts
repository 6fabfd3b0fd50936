/** Several instances in one world, each a target with a certificate of its own (or all with one). */
import type { TargetResult } from '../../lib/report/result.ts'
import { createDeviceEndpoint, type DeviceEndpoint } from '../../sandbox/device-endpoint.ts'
import { createIotda, type Iotda } from '../../sandbox/iotda/iotda.ts'
import type { SandboxSettings } from '../../sandbox/sandbox.ts'
import { cleanups } from './cleanups.ts'
import { openScenario, type Scenario } from './scenario.ts'

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
  /** Runs over all targets; results by name. */
  run(): Promise<Readonly<Record<string, TargetResult>>>
  later(durationMs: number): Promise<Readonly<Record<string, TargetResult>>>
}

/** In the zone of the sandbox. */
const domainOf = (name: string): string => `${name}.example.com`

const idOf = (i: number): string => `${String(i).padStart(8, '0')}-2222-3333-4444-555555555555`

/** Bound until so many days from now each; `change` edits the settings last. */
export async function openFleet(
  names: readonly string[],
  { daysLeft = 60, isShared = false, change = () => {}, prepare = async () => {} }: FleetOptions = {},
): Promise<Fleet> {
  const s = await openScenario()
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
      const { certPem, keyPem } = await s.issue(daysLeft - 90, daysLeft, [domain])
      iotda.createConfiguration(domain, iotda.upload(certPem, keyPem))
      const boundId = () => iotda.configurations()[0]?.server_certificate_id ?? null
      return { name, domain, iotda, device, instanceId, boundId }
    }),
  )
  await s.configure(settings => {
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
      : Object.fromEntries(names.map(name => [name, { ...certificate, names: [domainOf(name)], ari: false }]))
    change(settings)
  })
  const run: Fleet['run'] = async () => {
    const { results } = await s.rig.run({}, { clock: s.clock })
    return Object.fromEntries(results.map(result => [result.target, result]))
  }
  return {
    s,
    members,
    run,
    later: durationMs => {
      s.clock.advance(durationMs)
      return run()
    },
  }
}

export interface FleetOptions {
  readonly daysLeft?: number
  readonly isShared?: boolean
  readonly change?: (settings: SandboxSettings) => void
  /** Before the settings are written. */
  readonly prepare?: (s: Scenario) => Promise<void>
}
