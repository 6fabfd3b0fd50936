/** What a function answers of the rings, and the word of a person that an event brings. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { handler as functionGraph } from '../../functions/functiongraph.ts'
import { warm } from '../../functions/invocation.ts'
import { handler as lambda } from '../../functions/lambda.ts'
import { parseRolloutEvent } from '../../lib/app/rollout/by-event.ts'
import type { ReportedRollout } from '../../lib/report/rollout.ts'
import '../support/cleanups.ts'
import { graphContext, lambdaContext, openFunctionRig } from '../support/function-rig.ts'

beforeEach(() => warm.forget())
afterEach(() => vi.unstubAllEnvs())

describe('the event', () => {
  const event = (more: object) => () => parseRolloutEvent({ action: 'rollout', ...more }, 'request one')
  const said: readonly (readonly [object, unknown])[] = [
    [{}, null],
    [
      { resume: '3fa2', by: 'ada', why: 'mended' },
      { action: 'resume', kind: '3fa2', ring: null, by: 'ada (request one)', why: 'mended' },
    ],
    [
      { approve: '3fa2', ring: 'rest' },
      { action: 'approve', kind: '3fa2', ring: 'rest', by: 'request one', why: 'no reason given' },
    ],
  ]
  test.each(said)('%j', (more, wanted) => expect(event(more)()).toEqual(wanted))

  const refused: readonly (readonly [object, RegExp])[] = [
    [{ targets: ['factory-1'] }, /unknown key "targets" with action "rollout"/],
    [{ resume: '3f', approve: '3f' }, /at once/],
    [{ resume: '3f', ring: 'rest' }, /"ring" without "approve"/],
    [{ why: 'mended' }, /without "resume" or "approve"/],
    [{ resume: 7 }, /"resume" is no text/],
    [{ resume: '3f', why: 'x'.repeat(301) }, /"why" is no text of at most 300/],
  ]
  test.each(refused)('refused: %j', (more, message) => expect(event(more)).toThrow(message))
})

test('both doors show the rings and take a word, which is kept with who and why', async () => {
  const rig = await openFunctionRig()
  const config = rig.config(settings => {
    settings.rollout = { rings: [{ name: 'all', targets: ['*'] }] }
  })
  vi.stubEnv('IOTDA_CERT_CONFIG', config)
  await lambda({ action: 'rotate' }, lambdaContext('one'))
  const shown = (await lambda({ action: 'rollout' }, lambdaContext('two'))) as ReportedRollout
  expect(shown).toMatchObject({ ok: true, rings: [{ name: 'all' }], kinds: [{ rings: [{ serving: 1 }] }] })
  const approve = shown.kinds[0]?.kind
  const context = graphContext('three', { userData: { IOTDA_CERT_CONFIG: config } })
  const answer = await functionGraph({ action: 'rollout', approve, by: 'ada', why: 'tested' }, context)
  expect((answer as ReportedRollout).kinds[0]?.log).toMatchObject([
    { what: 'approved for all rings', by: 'ada (request three)', why: 'tested' },
  ])
  const unknown = lambda({ action: 'rollout', resume: 'ffff' }, lambdaContext('four'))
  await expect(unknown).rejects.toThrow(/there is no kind "ffff"/)
})
