import { describe, expect, it } from 'vitest'
import { problemOf } from '../../lib/acme/protocol/problem.ts'
import { type Bench, obtained, rejection, specOf, startBench } from './rig.ts'

const orders = (bench: Bench) => bench.operations().filter(call => call === 'NewOrder').length

describe('a CA that knows nothing of profiles', () => {
  it('is not asked for one: a failure before any order, or its only kind, as the settings say', async () => {
    const bench = await startBench({ profiles: null })
    const asking = (profileFallback: boolean | string) =>
      obtained(bench, undefined, specOf(undefined, { profile: 'shortlived', profileFallback }))
    for (const fallback of [false, 'classic'])
      await expect(asking(fallback)).rejects.toMatchObject({
        code: 'ca-rejected',
        retry: 'never',
        hint: 'Set profileFallback of certificates.iot to true, or its profile to null.',
      })
    expect(bench.operations()).not.toContain('NewOrder')
    const { run } = await asking(true)
    expect(run.warnings()).toEqual([expect.stringContaining('offers no profiles')])
    await obtained(bench)
    expect(bench.ca.issued).toHaveLength(2)
  })
})

describe('a profile that the CA has dropped', () => {
  it('is a failure that a person mends, unless the settings allow another one', async () => {
    const bench = await startBench({ profiles: ['classic'] })
    const spec = specOf(undefined, { profile: 'shortlived' })
    const error = await rejection(obtained(bench, undefined, spec))
    expect(error).toMatchObject({ code: 'ca-rejected', retry: 'never' })
    expect(problemOf(error)).toMatchObject({ type: 'invalidProfile' })
    expect(orders(bench)).toBe(1)
  })

  it.each([
    [true, 'classic'],
    ['tlsserver', 'tlsserver'],
  ] as const)('with the fallback %s becomes %s, once', async (profileFallback, wanted) => {
    const bench = await startBench({ profiles: ['classic', 'tlsserver'] })
    const spec = specOf(undefined, { profile: 'shortlived', profileFallback })
    const { run } = await obtained(bench, undefined, spec)
    expect(bench.ca.orders.map(order => order.profile)).toEqual([wanted])
    expect(orders(bench)).toBe(2)
    expect(run.warnings()[0]).toContain('ordering with profile')
  })

  it.each(['tlsserver', 'shortlived'])(
    'with a fallback that is not offered either: %s',
    async profileFallback => {
      const bench = await startBench({ profiles: ['classic'] })
      const spec = specOf(undefined, { profile: 'shortlived', profileFallback })
      expect(await rejection(obtained(bench, undefined, spec))).toMatchObject({ code: 'ca-rejected' })
      expect(orders(bench)).toBe(profileFallback === 'shortlived' ? 1 : 2)
    },
  )

  it('does not forget the predecessor, whichever the CA dislikes first', async () => {
    const bench = await startBench()
    const { chainPem } = await obtained(bench)
    bench.ca.options.profiles = ['classic']
    const spec = specOf(undefined, { profile: 'shortlived', profileFallback: true })
    await obtained(bench, undefined, spec, chainPem)
    expect(bench.ca.orders.at(-1)?.replaces).not.toBeNull()
    orders(bench)
    // Replaced already now: both are left out.
    await obtained(bench, undefined, spec, chainPem)
    expect(bench.ca.orders.at(-1)).toMatchObject({ replaces: null, profile: 'classic' })
    expect(orders(bench)).toBe(3)
  })

  it('is asked for again by the next order', async () => {
    const bench = await startBench({ profiles: ['classic'] })
    const spec = specOf(undefined, { profile: 'shortlived', profileFallback: true })
    await obtained(bench, undefined, spec)
    bench.ca.options.profiles = ['classic', 'shortlived']
    await obtained(bench, undefined, spec)
    expect(bench.ca.orders.map(order => order.profile)).toEqual(['classic', 'shortlived'])
  })
})
