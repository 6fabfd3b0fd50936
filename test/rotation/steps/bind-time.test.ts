import { expect, test } from 'vitest'
import { soaking } from '../../../lib/rotation/steps/bind-time.ts'
import type { Job, World } from '../../../lib/rotation/world.ts'
import { fakeClock } from '../../support/clock.ts'
import { leaf, NOW, newRun, rotateAll, target } from '../facts.ts'

test('a change window that never opens is waited for, and never taken for an open one', () => {
  const never = { text: 'never', days: [], from: 0, to: 60, timeZone: 'UTC' }
  const world = {
    ...{ target: { ...target, bindWindow: [never] }, event: rotateAll, intervalMs: 1_800_000 },
    run: newRun(fakeClock(NOW)),
  } as unknown as World
  const job = { verdict: { emergency: false, reason: 'expiring' } } as unknown as Job
  expect(soaking(world, job, leaf('b'))).toMatchObject({ status: 'suspended', until: NOW + 1_800_000 })
})
