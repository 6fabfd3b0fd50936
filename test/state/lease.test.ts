import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { beforeEach, describe, expect, test } from 'vitest'
import type { RotationError } from '../../lib/base/rotation-error.ts'
import { MINUTE_MS } from '../../lib/base/time.ts'
import type { StateStore } from '../../lib/contracts.ts'
import { takeLease } from '../../lib/state/lease.ts'
import { newWriter } from '../../lib/stores/shared/writer.ts'
import { NOW, newRun } from '../rotation/facts.ts'
import { newState, type State } from '../rotation/state.ts'
import { type FakeClock, fakeClock } from '../support/clock.ts'
import { failureOf } from '../support/failure.ts'

let state: State
let clock: FakeClock
beforeEach(async () => {
  state = await newState()
  clock = fakeClock(NOW)
})

const take = (runId = 'run-1', store: StateStore = state.open().store) =>
  takeLease(store, 'instance', newRun(clock, runId))
const written = async () => JSON.parse((await state.store.read('leases/instance'))?.body ?? 'null')

describe('taking', () => {
  test('writes who has it, and until when', async () => {
    const { store } = state.open()
    await take('run-1', store)
    expect(await written()).toEqual({
      schema: 1,
      writer: store.writer,
      runId: 'run-1',
      until: NOW + 5 * MINUTE_MS,
    })
  })

  test('is refused while another run has it, and says how long', async () => {
    await take('run-1')
    clock.advance(MINUTE_MS)
    const error = await failureOf(take('run-2'))
    expect(error).toMatchObject({ code: 'busy', retryAt: NOW + 5 * MINUTE_MS })
    expect(error.message).toContain('run run-1 holds the lease for another 4m')
    expect((await written()).runId).toBe('run-1')
  })

  test('by two at once: one has it', async () => {
    const results = await Promise.allSettled(['run-1', 'run-2', 'run-3'].map(runId => take(runId)))
    const lost = results.flatMap(r => (r.status === 'rejected' ? [(r.reason as RotationError).code] : []))
    expect(lost).toEqual(['busy', 'busy'])
  })

  test('is refused, and nothing written, where a clock was far ahead: nobody may wait for a year', async () => {
    await take('run-1')
    clock.advance(-365 * 24 * 60 * MINUTE_MS)
    const before = await state.store.read('leases/instance')
    const error = await failureOf(take('run-2'))
    expect(error).toMatchObject({ code: 'store-unreadable', hint: expect.stringContaining('Set the clocks') })
    expect(await state.store.read('leases/instance')).toEqual(before)
  })

  test('succeeds once its time is over', async () => {
    await take('run-1')
    clock.advance(5 * MINUTE_MS - 1)
    expect((await failureOf(take('run-2'))).code).toBe('busy')
    clock.advance(1)
    await take('run-2')
    expect((await written()).runId).toBe('run-2')
  })

  test('succeeds when its writer is dead, long before its time is over', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
    await once(child, 'spawn')
    // As that process would have named itself.
    const [host, , , random] = newWriter().split('/')
    const writer = `${host}/${child.pid}//${random}`
    await state.store.write(
      'leases/instance',
      JSON.stringify({ schema: 1, writer, runId: 'run-0', until: NOW + 5 * MINUTE_MS }),
      null,
    )
    expect((await failureOf(take('run-1'))).code).toBe('busy')
    child.kill('SIGKILL')
    await once(child, 'exit')
    await take('run-1')
    expect((await written()).runId).toBe('run-1')
  })

  test('of another key is another lease', async () => {
    await take('run-1')
    await takeLease(state.open().store, 'certificate-iot', newRun(clock, 'run-2'))
    expect(Object.keys(await state.files())).toHaveLength(2)
  })

  test('a lease that cannot be read is left alone', async () => {
    await take('run-1')
    await state.damage('leases/instance', '{"schema":1')
    const before = await state.files()
    expect((await failureOf(take('run-2'))).code).toBe('store-unreadable')
    expect(await state.files()).toEqual(before)
  })
})

describe('guarding', () => {
  test('makes it last another five minutes, however often', async () => {
    const lease = await take('run-1')
    for (let i = 0; i < 3; i += 1) {
      clock.advance(4 * MINUTE_MS)
      await lease.guard()
      expect((await written()).until).toBe(clock.now() + 5 * MINUTE_MS)
    }
    expect((await failureOf(take('run-2'))).code).toBe('busy')
  })

  test('an expired lease that nobody took is still ours', async () => {
    const lease = await take('run-1')
    clock.advance(60 * MINUTE_MS)
    await lease.guard()
    expect(await written()).toMatchObject({ runId: 'run-1', until: clock.now() + 5 * MINUTE_MS })
  })

  test('one that was taken over is lost, for good, and the other run keeps it', async () => {
    const lease = await take('run-1')
    clock.advance(5 * MINUTE_MS)
    await take('run-2')
    for (let i = 0; i < 2; i += 1) {
      const error = await failureOf(lease.guard())
      expect(error.code).toBe('lease-lost')
      expect(error.message).toContain('nothing more was changed')
    }
    expect((await written()).runId).toBe('run-2')
  })

  test('one that was taken over and given back is lost as well', async () => {
    const lease = await take('run-1')
    clock.advance(5 * MINUTE_MS)
    await (await take('run-2')).release()
    expect((await failureOf(lease.guard())).code).toBe('lease-lost')
  })
})

describe('giving back', () => {
  test('lets the next run have it at once', async () => {
    await (await take('run-1')).release()
    expect(await written()).toMatchObject({ writer: null, until: 0 })
    await take('run-2')
    expect((await written()).runId).toBe('run-2')
  })

  test('after guards, too', async () => {
    const lease = await take('run-1')
    await lease.guard()
    await lease.guard()
    await lease.release()
    expect((await written()).writer).toBeNull()
  })

  test('a lost one never throws and leaves the other run’s alone', async () => {
    const lease = await take('run-1')
    clock.advance(5 * MINUTE_MS)
    await take('run-2')
    await lease.release()
    expect(await written()).toMatchObject({ runId: 'run-2', until: clock.now() + 5 * MINUTE_MS })
  })
})

describe('a store that ignores the condition of a write', () => {
  /** As a bucket of an old S3 clone does. */
  const careless = (): StateStore => {
    const { store } = state.open()
    const write: StateStore['write'] = async (key, body) =>
      store.write(key, body, (await store.read(key))?.revision ?? null)
    return { ...store, write }
  }

  test('is refused at the first lease, and at a later one', async () => {
    const store = careless()
    for (const before of [null, { schema: 1, writer: null, runId: 'run-0', until: 0 }]) {
      await store.remove('leases/instance')
      if (before) await store.write('leases/instance', JSON.stringify(before), null)
      const error = await failureOf(take('run-1', store))
      expect(error).toMatchObject({ code: 'store-conflict', retry: 'never' })
      expect(error.message).toContain('ignores the condition')
      expect(error.hint).toContain('compare-and-swap')
    }
  })
})
