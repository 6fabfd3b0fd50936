/** The suite every DNS solver passes, over a real DNS server and the service's own API. */
import { inspect } from 'node:util'
import { beforeEach, describe, expect, it } from 'vitest'
import { RotationError } from '../../lib/base/rotation-error.ts'
import type { DnsSolver, Run } from '../../lib/contracts.ts'
import type { ErrorCode } from '../../lib/model/errors.ts'
import type { Fault, Faults } from '../../sandbox/kit/faults.ts'
import type { TestClock } from '../solvers/rig.ts'

export interface SolverRig {
  readonly solver: DnsSolver
  /** The same service with credentials it does not know. */
  readonly stranger: DnsSolver
  readonly clock: TestClock
  readonly run: (over?: Partial<Run>) => Run
  readonly faults: Faults
  /** Every operation of the service, and those that write a new value. */
  readonly operations: readonly string[]
  readonly writes: readonly string[]
  readonly removals: readonly string[]
  /** How the service says these things. */
  readonly answers: {
    /** The status of the answer to unknown credentials, when it is not 401. */
    readonly unauthorizedStatus?: number
    readonly forbidden: Pick<Fault, 'status' | 'body'>
    readonly throttled: Pick<Fault, 'status' | 'body' | 'headers'>
  }
  readonly unknownZone: ErrorCode
  /** Where the service keeps its values, when that is one name alone. */
  readonly only?: string
  /** The value of a text, when the service takes no other ones. */
  readonly textFor?: (text: string) => string
  /** The values in DNS, sorted. */
  inDns(name: string): Promise<string[]>
  /** Writes a value as somebody else would. */
  otherWrites(name: string, value: string): void | Promise<void>
  /** Stops the service. */
  stop(): Promise<void>
  readonly secrets: readonly string[]
  /** All that was logged. */
  logged(): string
}

/** What a service can do. Of what it cannot, the suite asks nothing; the driver's own tests say what comes instead. */
export interface Abilities {
  /** It can ask for fewer calls. */
  readonly throttles: boolean
  /** What fails by chance is tried again by the driver; else by whoever is behind it. */
  readonly repeats: boolean
  /** It says whether keys, permission or zone are wrong; else only that it was refused. */
  readonly explains: boolean
  /** It holds any number of values of many names, also those of others. */
  readonly shares: boolean
  /** Values can be removed. */
  readonly removes: boolean
}
const ALL: Abilities = { throttles: true, repeats: true, explains: true, shares: true, removes: true }

const APEX = '_acme-challenge.example.com.'
const SUB = '_acme-challenge.iot.example.com.'
const ALWAYS = 99
/** What was called, and what came of it. */
const NAMES_A_CALL = /^solver dns \(\w+\): \S.* answered /

/** A name of so many characters, without its final dot. */
const nameOf = (length: number): string => {
  const label = `${'a'.repeat(63)}.`
  const rest = length - '_acme-challenge.'.length - 3 * label.length - '.example.com'.length
  return `_acme-challenge.${label.repeat(3)}${'b'.repeat(rest)}.example.com.`
}

/** Gives the rig of the running test, with two names (or the only one) and the values of a test. */
type Get = () => SolverRig & {
  readonly sub: string
  readonly apex: string
  readonly value: (text: string) => string
}

/** Runs the suite; `make` starts the service anew for every test. */
export function solverContract(
  name: string,
  make: () => Promise<SolverRig>,
  abilities: Partial<Abilities> = {},
): void {
  const can: Abilities = { ...ALL, ...abilities }
  describe(`solver contract: ${name}`, () => {
    let rig: SolverRig
    beforeEach(async () => {
      rig = await make()
    })
    const get: Get = () => {
      const { only, textFor: value = text => text } = rig
      return { ...rig, sub: only ?? SUB, apex: only ?? APEX, value }
    }
    const fails: Fails = async (promise, wanted = {}) => {
      const error = await promise.then(
        () => null,
        thrown => thrown as RotationError,
      )
      expect(error).toBeInstanceOf(RotationError)
      if (!error) throw new Error('it should have failed')
      expect(error.message).toMatch(/^solver dns \([a-z0-9]+\): \S/)
      expect(error.message).toContain(`(${name})`)
      const shown = [error.message, error.hint, error.stack, inspect(error, { depth: null }), rig.logged()]
      for (const secret of rig.secrets) expect(shown.join()).not.toContain(secret)
      expect(error).toMatchObject(wanted)
      return error
    }
    describe('values', () => {
      valueTests(get, can)
      if (can.shares && can.removes) sharedTests(get)
    })
    if (can.repeats) describe('passing failures', () => passingTests(get, can))
    describe('failures of the service', () => serviceTests(get, fails, can))
    if (can.throttles) describe('throttling', () => throttlingTests(get, fails, can))
    describe('refusals', () => {
      refusalTests(get, fails, can)
      if (can.explains && can.shares) permissionTests(get, fails)
    })
    describe('abort', () => abortTests(get, fails, { name, ...can }))
  })
}

/** The error of a call that must fail, like the wanted one; it names the driver, and shows no secret. */
type Fails = (promise: Promise<unknown>, wanted?: object) => Promise<RotationError>

const countOf = ({ faults }: SolverRig, operations: readonly string[]): number =>
  faults.calls.filter(({ operation }) => operations.includes(operation)).length

function serviceTests(get: Get, fails: Fails, can: Abilities): void {
  it('says that the service is down', async () => {
    const { solver, run, stop, sub, value } = get()
    await stop()
    const code = can.explains ? 'unreachable' : 'service-refused'
    if (can.explains) await fails(solver.prepare(sub, run()), { code })
    await fails(solver.present(sub, value('v'), run()), { code })
    if (can.removes) await fails(solver.cleanUp(sub, value('v'), run()), { code })
  })

  it('gives up on a service that keeps failing', async () => {
    const { solver, run, faults, operations, inDns, sub, value } = get()
    faults.add({ operations, status: 503, body: 'busy', times: ALWAYS })
    const code = can.explains ? 'unavailable' : 'service-refused'
    await fails(solver.present(sub, value('v'), run()), { code })
    expect(faults.calls).toHaveLength(can.repeats ? 3 : 1)
    expect(await inDns(sub)).toEqual([])
  })

  it('gives up on writes that keep failing', async () => {
    const { solver, run, faults, writes, sub, value } = get()
    faults.add({ operations: writes, status: 503, body: 'busy', times: ALWAYS })
    const code = can.explains ? 'unavailable' : 'service-refused'
    await fails(solver.present(sub, value('v'), run()), { code })
    expect(countOf(get(), writes)).toBe(can.repeats ? 3 : 1)
  })
}

function throttlingTests(get: Get, fails: Fails, can: Abilities): void {
  it('reports throttling that lasts', async () => {
    const { solver, run, faults, writes, answers, sub, value } = get()
    faults.add({ operations: writes, ...answers.throttled, times: ALWAYS })
    await fails(solver.present(sub, value('v'), run()), { code: 'throttled', retry: 'later' })
    expect(countOf(get(), writes)).toBeLessThanOrEqual(can.repeats ? 3 : 1)
  })
}

function refusalTests(get: Get, fails: Fails, can: Abilities): void {
  it('reports wrong credentials once, without trying again', async () => {
    const { stranger, run, faults, inDns, otherWrites, answers, apex, value } = get()
    if (can.shares) await otherWrites(apex, 'theirs')
    const refused = can.explains
      ? { code: 'unauthorized', retry: 'never', hint: expect.any(String) }
      : { code: 'service-refused', hint: expect.any(String) }
    const error = await fails(stranger.present(apex, value('v'), run()), refused)
    if (can.explains) expect(error.message).toMatch(NAMES_A_CALL)
    expect(faults.calls.map(({ status }) => status)).toEqual([answers.unauthorizedStatus ?? 401])
    if (can.removes) await fails(stranger.cleanUp(apex, 'theirs', run()), refused)
    expect(await inDns(apex)).toEqual(can.shares ? ['theirs'] : [])
  })

  it('reports a zone the service does not hold', async () => {
    const { solver, run, unknownZone, value } = get()
    const error = await fails(solver.present('_acme-challenge.elsewhere.test.', value('v'), run()), {
      code: unknownZone,
      hint: expect.any(String),
    })
    if (can.explains) expect(error.retry).toBe('never')
    expect(error.message).toContain('elsewhere.test')
  })

  it.each([
    ['a label of 64 characters', `_acme-challenge.${'a'.repeat(64)}.example.com.`],
    ['254 characters', nameOf(254)],
  ])('refuses a name with %s before any call', async (_, long) => {
    const { solver, run, faults } = get()
    await fails(solver.prepare(long, run()), { code: 'settings-invalid' })
    await fails(solver.present(long, 'v', run()), { code: 'settings-invalid' })
    expect(faults.calls).toEqual([])
  })
}

function permissionTests(get: Get, fails: Fails): void {
  it('reports a missing permission once, without trying again', async () => {
    const { solver, run, faults, writes, answers, otherWrites, inDns } = get()
    await otherWrites(APEX, 'theirs')
    faults.add({ operations: writes, ...answers.forbidden, times: ALWAYS })
    const error = await fails(solver.present(APEX, 'v', run()), {
      code: 'forbidden',
      retry: 'never',
      hint: expect.any(String),
    })
    expect(error.message).toMatch(NAMES_A_CALL)
    expect(countOf(get(), writes)).toBe(1)
    expect(await inDns(APEX)).toEqual(['theirs'])
  })

  it('reports that it may not remove, and leaves everything as it is', async () => {
    const { solver, run, faults, removals, answers, otherWrites, inDns } = get()
    await otherWrites(APEX, 'theirs')
    await solver.present(APEX, 'ours', run())
    faults.add({ operations: removals, ...answers.forbidden, times: ALWAYS })
    const error = await fails(solver.cleanUp(APEX, 'ours', run()), {
      code: 'forbidden',
      retry: 'never',
      hint: expect.any(String),
    })
    expect(error.message).toMatch(NAMES_A_CALL)
    expect(await inDns(APEX)).toEqual(['ours', 'theirs'])
    faults.clear()
    await solver.cleanUp(APEX, 'ours', run())
    expect(await inDns(APEX)).toEqual(['theirs'])
  })
}

function abortTests(get: Get, fails: Fails, can: Abilities & { readonly name: string }): void {
  it('makes no call when the run is over', async () => {
    const { solver, run: runWith, faults, sub, value } = get()
    const run = runWith({ signal: AbortSignal.abort() })
    await fails(solver.prepare(sub, run), { code: 'out-of-time' })
    await fails(solver.present(sub, value('v'), run), { code: 'out-of-time' })
    if (can.removes) await fails(solver.cleanUp(sub, value('v'), run), { code: 'out-of-time' })
    expect(faults.calls).toEqual([])
  })

  it('leaves a call that is under way', async () => {
    const { solver, run, faults, operations, sub, value } = get()
    const stop = new AbortController()
    faults.add({ operations, delayMs: 1_000, times: ALWAYS })
    const presented = fails(solver.present(sub, value('v'), run({ signal: stop.signal })))
    await expect.poll(() => faults.calls.length).toBe(1)
    stop.abort()
    expect(await presented).toMatchObject({ code: 'out-of-time' })
    expect(faults.calls.map(({ status }) => status)).toEqual([null])
  })

  if (!can.repeats) return
  it('leaves a wait, with the reason of the signal if that is an error of ours', async () => {
    const { solver, run, faults, operations, clock, sub, value } = get()
    const stop = new AbortController()
    const reason = new RotationError('lease-lost', `solver dns (${can.name}): another run took over`)
    clock.onSleep = () => stop.abort(reason)
    faults.add({ operations, status: 503, body: 'busy', times: ALWAYS })
    expect(await fails(solver.present(sub, value('v'), run({ signal: stop.signal })))).toBe(reason)
    expect(faults.calls).toHaveLength(1)
  })
}

function valueTests(get: Get, can: Abilities): void {
  it('presents a value and removes it', async () => {
    const { solver, run, inDns, sub, value } = get()
    const zone = await solver.prepare(sub, run())
    expect(zone === null ? SUB : `.${zone.name.replace(/\.$/, '')}.`).toMatch(/\.example\.com\.$/)
    expect(await inDns(sub)).toEqual([])
    await solver.present(sub, value('Zm9v_-Bar'), run())
    expect(await inDns(sub)).toEqual([value('Zm9v_-Bar')])
    await solver.cleanUp(sub, value('Zm9v_-Bar'), run())
    if (can.removes) expect(await inDns(sub)).toEqual([])
  })

  it('holds the values of a wildcard and its apex side by side', async () => {
    const { solver, run, inDns, apex, value } = get()
    await solver.present(apex, value('apex'), run())
    await solver.present(apex, value('wildcard'), run())
    expect(await inDns(apex)).toEqual([value('apex'), value('wildcard')])
    await solver.cleanUp(apex, value('apex'), run())
    expect(await inDns(apex)).toContain(value('wildcard'))
    if (!can.removes) return
    expect(await inDns(apex)).toEqual(['wildcard'])
    await solver.cleanUp(apex, 'wildcard', run())
    expect(await inDns(apex)).toEqual([])
  })

  it('presents the same value twice as one', async () => {
    const { solver, run, inDns, sub, value } = get()
    await solver.present(sub, value('v'), run())
    await solver.present(sub, value('v'), run())
    expect(await inDns(sub)).toEqual([value('v')])
  })
}

function sharedTests(get: Get): void {
  it('keeps the values of others, before and after', async () => {
    const { solver, run, inDns, otherWrites } = get()
    await otherWrites(APEX, 'theirs "quoted" \\ and; more')
    await solver.present(APEX, 'ours', run())
    await otherWrites(APEX, 'later')
    expect(await inDns(APEX)).toEqual(['later', 'ours', 'theirs "quoted" \\ and; more'])
    await solver.cleanUp(APEX, 'ours', run())
    expect(await inDns(APEX)).toEqual(['later', 'theirs "quoted" \\ and; more'])
    expect(await inDns('mail.example.com')).toEqual(['v=spf1 -all'])
  })

  it('splits and joins values of more than 255 characters', async () => {
    const { solver, run, inDns } = get()
    const long = `${'x'.repeat(254)}"\\${'y'.repeat(300)}`
    await solver.present(APEX, long, run())
    expect(await inDns(APEX)).toEqual([long])
    await solver.cleanUp(APEX, long, run())
    expect(await inDns(APEX)).toEqual([])
  })

  it('cleans up twice, and what was never there', async () => {
    const { solver, run, inDns, otherWrites } = get()
    await otherWrites(APEX, 'theirs')
    await solver.present(APEX, 'ours', run())
    await solver.cleanUp(APEX, 'ours', run())
    await solver.cleanUp(APEX, 'ours', run())
    await solver.cleanUp(APEX, 'THEIRS', run())
    await solver.cleanUp(SUB, 'never', run())
    expect(await inDns(APEX)).toEqual(['theirs'])
    expect(await inDns(SUB)).toEqual([])
  })

  it('takes many values of one name at once', async () => {
    const { solver, run, inDns, otherWrites } = get()
    const values = ['a', 'b', 'c', 'd', 'e']
    await otherWrites(APEX, 'theirs')
    await Promise.all(values.map(value => solver.present(APEX, value, run())))
    expect(await inDns(APEX)).toEqual([...values, 'theirs'])
    await Promise.all(values.map(value => solver.cleanUp(APEX, value, run())))
    expect(await inDns(APEX)).toEqual(['theirs'])
  })

  it('writes to the longest zone', async () => {
    const { solver, run, inDns } = get()
    const names = ['sub.example.com', 'a.b.sub.example.com', 'my-example.com'].map(
      n => `_acme-challenge.${n}.`,
    )
    for (const name of names) await solver.present(name, name, run())
    for (const name of names) expect(await inDns(name)).toEqual([name])
  })

  it('writes a name at the limits: a label of 63 and 253 characters in all', async () => {
    const { solver, run, inDns } = get()
    for (const name of [`_acme-challenge.${'a'.repeat(63)}.example.com.`, nameOf(253)]) {
      await solver.present(name, 'v', run())
      expect(await inDns(name)).toEqual(['v'])
      await solver.cleanUp(name, 'v', run())
      expect(await inDns(name)).toEqual([])
    }
  })
}

function passingTests(get: Get, can: Abilities): void {
  it('gets over one 5xx of each call', async () => {
    const { solver, run, inDns, faults, operations, sub, value } = get()
    for (const operation of operations) faults.add({ operations: [operation], status: 502, body: '<html>' })
    await solver.present(sub, value('v'), run())
    expect(await inDns(sub)).toEqual([value('v')])
    if (!can.removes) return
    for (const operation of operations) faults.add({ operations: [operation], status: 502, body: '<html>' })
    await solver.cleanUp(sub, value('v'), run())
    expect(await inDns(sub)).toEqual([])
  })

  it.each(['before', 'after'] as const)('gets over a connection that breaks %s the effect', async drop => {
    const { solver, run, inDns, faults, writes, removals, otherWrites, apex, value } = get()
    if (can.shares) await otherWrites(apex, 'theirs')
    const theirs = can.shares ? ['theirs'] : []
    for (const operation of writes) faults.add({ operations: [operation], drop })
    await solver.present(apex, value('v'), run())
    expect(await inDns(apex)).toEqual([...theirs, value('v')])
    faults.clear()
    for (const operation of removals) faults.add({ operations: [operation], drop })
    await solver.cleanUp(apex, value('v'), run())
    if (can.removes) expect(await inDns(apex)).toEqual(theirs)
    expect(faults.calls.filter(({ status }) => status === null)).toHaveLength(can.removes ? 2 : 1)
  })
}
