import { asRotationError } from '../base/rotation-error.ts'
import type { StepName } from '../model/outcomes.ts'
import type { Job, StepResult, World } from './world.ts'

/** A job at its start: nothing looked at, nothing decided. */
export function startJob(world: World): Job {
  const target = world.records.target(world.target)
  const certificate = world.records.certificate(world.spec.name)
  return {
    startedAt: world.run.clock.now(),
    inspection: {
      at: 0,
      configuration: null,
      bound: null,
      slots: [],
      served: [],
      renewalInfo: null,
      inventory: null,
      documents: undefined as never,
    },
    verdict: {
      due: false,
      reason: 'fresh',
      detail: 'not looked at',
      plan: 'none',
      nextCheckAt: null,
      emergency: false,
    },
    lease: null,
    targetDocument: target,
    certificateDocument: certificate,
    pending: null,
    material: null,
    uploadedId: null,
    proof: null,
    deletedJustNow: false,
    deleted: [],
    warnings: [],
    steps: [],
  }
}

/** What a look showed, in one line. */
export function describe({ inspection }: Job): string {
  const { bound, slots, served } = inspection
  const heard = served.filter(s => s.leaf).length
  return `bound ${bound?.serverCertificateId ?? 'nothing'}, ${slots.length} of 2 slots used, ${heard} of ${served.length} addresses answered`
}

/** Runs one step and writes down how it went. */
export async function timed(
  world: World,
  job: Job,
  step: StepName,
  work: () => Promise<StepResult>,
): Promise<StepResult> {
  const { clock } = world.run
  const started = clock.now()
  world.progress(world.target.name, step, null)
  const end = (status: Job['steps'][number]['status'], detail: string, call: string | null): void => {
    const ended = { step, status, durationMs: clock.now() - started, call, detail }
    job.steps.push(ended)
    world.progress(world.target.name, step, ended)
  }
  try {
    const result = await work()
    end(result.status, result.detail, result.call ?? null)
    return result
  } catch (thrown) {
    const error = asRotationError(thrown)
    end(error.code === 'preflight-refused' ? 'refused' : 'failed', error.message, null)
    throw thrown
  }
}
