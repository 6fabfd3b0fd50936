import { expect } from 'vitest'
import type { RunEvent } from '../../lib/model/outcomes.ts'
import type { TargetResult } from '../../lib/report/result.ts'
import type { Sandbox, SandboxOptions, SandboxSettings } from '../../sandbox/sandbox.ts'
import { cleanups } from './cleanups.ts'
import { type FakeClock, fakeClock } from './clock.ts'
import { createRig, type Rig } from './rig.ts'

export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS

/** Calls that change IoTDA. */
export const ADD = 'CreateServerCertificate'
export const BIND = 'UpdateDomainConfiguration'
export const DELETE = 'DeleteServerCertificate'
/** A POST that changes nothing. */
const LOOK = 'iotda.SearchDevices'

export interface RunOptions {
  readonly budgetMs?: number
  readonly settingsFile?: string
}

/** One instance with its rotator and its own clock; stopped after the test. A quick verify. */
export interface Scenario extends Pick<Sandbox, 'iotda' | 'faults' | 'ca' | 'device' | 'domain'> {
  readonly rig: Rig
  readonly clock: FakeClock
  /** Runs one event. A deletion of what is bound fails the test, as does one that the result does not name. */
  run(event?: Partial<RunEvent>, options?: RunOptions): Promise<TargetResult>
  /** Runs one event, which is to end so. */
  runTo(expected: object, event?: Partial<RunEvent>, options?: RunOptions): Promise<TargetResult>
  /** Runs one event after a while. */
  later(durationMs: number, event?: Partial<RunEvent>, options?: RunOptions): Promise<TargetResult>
  /** Rewrites the settings. */
  configure(change: (settings: SandboxSettings) => void): Promise<void>
  /** The settings as `configure` would write them. */
  settings(change: (settings: SandboxSettings) => void): SandboxSettings
  /** A certificate of the sandbox's CA, valid from and until so many days from now. */
  issue(
    fromDays: number,
    untilDays: number,
    names?: readonly string[],
  ): Promise<{ certPem: string; keyPem: string }>
  /** As an operator in the console. */
  upload(fromDays: number, untilDays: number, names?: readonly string[]): Promise<string>
  /** Uploads one that expires in so many days and binds it. */
  bindOne(daysLeft: number): Promise<string>
  boundId(): string | null
  ids(): readonly string[]
  /** Names of the calls that changed IoTDA since the last time this was asked. */
  changes(): readonly string[]
  /** How many certificates were obtained. */
  obtained(): number
}

export interface ScenarioOptions extends SandboxOptions {
  readonly change?: (settings: SandboxSettings) => void
}

export async function openScenario({ change, ...options }: ScenarioOptions = {}): Promise<Scenario> {
  const clock = fakeClock()
  const rig = await createRig({ now: clock.now, ...options })
  cleanups.push(rig.dispose)
  const { iotda, faults, ca, device, domain } = rig.sandbox
  // The platform would not save us from deleting what is bound.
  iotda.switches.deleteBound = 'allow'
  const quick = (more: (settings: SandboxSettings) => void) => (settings: SandboxSettings) => {
    for (const target of settings.targets) target.probe.within = '2s'
    change?.(settings)
    more(settings)
  }
  const configure: Scenario['configure'] = more => rig.configure(quick(more))
  await configure(() => {})

  const boundId = (): string | null => iotda.configurations()[0]?.server_certificate_id ?? null
  const mutations: string[] = []
  const deletions: { readonly id: string; readonly wasBound: boolean }[] = []
  faults.onCall(({ operation, method, path }) => {
    if (!operation.startsWith('iotda.') || method === 'GET' || operation === LOOK) return
    mutations.push(operation.slice('iotda.'.length))
    const id = path.split('/').at(-1) ?? ''
    if (method === 'DELETE') deletions.push({ id, wasBound: id === boundId() })
  })
  const run: Scenario['run'] = async (event, more) => {
    deletions.length = 0
    const result = await rig.result(event, { clock, ...more })
    expect(deletions.filter(d => d.wasBound)).toEqual([])
    expect(result.deleted.map(d => d.serverCertificateId)).toEqual(deletions.map(d => d.id))
    expect(result.deleted.every(d => d.why.length > 5)).toBe(true)
    return result
  }
  const issue: Scenario['issue'] = (fromDays, untilDays, names = [domain]) =>
    ca.issue(names, {
      notBefore: new Date(clock.now() + fromDays * DAY_MS),
      notAfter: new Date(clock.now() + untilDays * DAY_MS),
      keyType: 'ec-256',
    })
  const upload: Scenario['upload'] = async (fromDays, untilDays, names) => {
    const { certPem, keyPem } = await issue(fromDays, untilDays, names)
    return iotda.upload(certPem, keyPem)
  }
  return {
    runTo: async (expected, event, more) => {
      const result = await run(event, more)
      expect(result, JSON.stringify(result.error)).toMatchObject(expected)
      return result
    },
    later: (durationMs, event, more) => {
      clock.advance(durationMs)
      return run(event, more)
    },
    iotda,
    faults,
    ca,
    device,
    domain,
    rig,
    clock,
    run,
    configure,
    settings: more => rig.sandbox.settings(quick(more)),
    issue,
    upload,
    bindOne: async daysLeft => {
      const id = await upload(daysLeft - 90, daysLeft)
      if (boundId() === null) iotda.createConfiguration(domain, id)
      else iotda.bind(id)
      return id
    },
    boundId,
    ids: () => iotda.certificates().map(c => c.id),
    changes: () => mutations.splice(0),
    obtained: () => ca.issued.filter(c => c.accountUrl !== null).length,
  }
}

/** Codes of the warnings of a run. */
export const warningsOf = ({ warnings }: Pick<TargetResult, 'warnings'>): readonly string[] =>
  warnings.map(w => w.code)

/** One certificate is bound, is looked after by us already, and has become due. */
export async function openDue(options: ScenarioOptions = {}): Promise<{ s: Scenario; bound: string }> {
  const s = await openScenario(options)
  const bound = await s.bindOne(60)
  expect(await s.run()).toMatchObject({ outcome: 'idle' })
  s.clock.advance(40 * DAY_MS)
  return { s, bound }
}

/** Due, with half a minute for verify; `onSwitch` is called at every write of the binding. */
export async function openVerify(
  options: ScenarioOptions = {},
): Promise<{ s: Scenario; bound: string; onSwitch: (call: (isOld: boolean) => void) => void }> {
  const { change, ...rest } = options
  const { s, bound } = await openDue({
    ...rest,
    change: settings => {
      settings.targets[0].probe.within = '30s'
      change?.(settings)
    },
  })
  s.changes()
  return { s, bound, onSwitch: call => void s.iotda.onBind(() => call(s.boundId() === bound)) }
}
