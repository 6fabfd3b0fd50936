import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { queuedEvent, takeMessages } from '../../../functions/queue/messages.ts'
import { runEvent } from '../../support/run-event.ts'

test('a message asks for what a schedule may, for the targets that it names', () => {
  expect(queuedEvent('{"action":"rotate","targets":["eu-1","eu-2","eu-1"]}')).toEqual(
    runEvent({ targets: ['eu-1', 'eu-2'] }),
  )
  expect(queuedEvent('{"targets":["eu-1"]}').action).toBe('rotate')
})

test.each([
  ['not JSON', 'it is no JSON'],
  ['', 'it is no JSON'],
  ['null', 'it is no object'],
  ['[]', 'it is no object'],
  ['"rotate"', 'it has more than'],
  ['{"action":"rotate"}', 'does not name the targets'],
  ['{"action":"rotate","targets":null}', 'does not name the targets'],
  ['{"action":"rotate","targets":[]}', 'no list of names'],
  ['{"action":"rotate","targets":[1]}', 'no list of names'],
  ['{"action":"rollback","targets":["eu-1"]}', 'does not name the targets'],
  ['{"action":"revoke","targets":["eu-1"]}', 'does not name the targets'],
  ['{"action":"rotate","targets":["eu-1"],"force":true}', 'more than "action" and "targets"'],
  ['{"action":"rotate","targets":["eu-1"],"force":false}', 'more than "action" and "targets"'],
  ['{"action":"rotate","targets":["eu-1"],"until":"add"}', 'more than "action" and "targets"'],
  ['{"action":"rotate","targets":["eu-1"],"accept":"ab"}', 'more than "action" and "targets"'],
  ['{"Type":"Notification","Message":"{}"}', 'more than "action" and "targets"'],
])('whatever else stands in one is refused: %s', (body, why) => {
  expect(() => queuedEvent(body)).toThrow(
    expect.objectContaining({ code: 'usage', retry: 'never', message: expect.stringContaining(why) }),
  )
})

test('anything is a rotation of named targets and nothing more, or a mistake of use', () => {
  const key = fc.constantFrom('action', 'targets', 'force', 'until', 'accept', '__proto__', '')
  const body = fc.oneof(
    fc.json(),
    fc.string(),
    fc.dictionary(key, fc.jsonValue()).map(it => JSON.stringify(it)),
  )
  fc.assert(
    fc.property(body, text => {
      try {
        const { targets, ...event } = queuedEvent(text)
        expect(targets?.length).toBeGreaterThan(0)
        expect({ ...event, targets: null }).toEqual(runEvent({}))
      } catch (thrown) {
        expect(thrown).toMatchObject({ code: 'usage', retry: 'never' })
      }
    }),
  )
})

describe('of several messages', () => {
  const message = (messageId: string, name = messageId) => ({
    messageId,
    body: JSON.stringify({ action: 'rotate', targets: [name] }),
  })
  /** Takes them as a run would: those of `bad` fail. */
  const taking = (bad: readonly string[], taken: unknown[] = []) => ({
    taken,
    take: async ({ requestId, read }: { requestId: unknown; read: () => unknown }) => {
      taken.push([requestId, read()])
      if (bad.includes(String(requestId))) throw new Error(`${requestId} failed`)
    },
  })

  test('each is an event of its own, and only those that failed are delivered again', async () => {
    const { take, taken } = taking(['b'])
    expect(await takeMessages([message('a'), message('b'), message('c')], take, {})).toEqual({
      batchItemFailures: [{ itemIdentifier: 'b' }],
    })
    expect(taken).toEqual(
      ['a', 'b', 'c'].map(id => [id, { event: runEvent({ targets: [id] }), trigger: 'queue' }]),
    )
  })

  test('one that is not understood fails alone', async () => {
    const { take } = taking([])
    const bad = { messageId: 'b', body: 'rotate eu-1' }
    expect(await takeMessages([message('a'), bad], take, {})).toEqual({
      batchItemFailures: [{ itemIdentifier: 'b' }],
    })
  })

  test('where all failed the door throws, so that the platform counts an error', async () => {
    await expect(takeMessages([message('a')], taking(['a']).take, {})).rejects.toThrow('a failed')
    await expect(takeMessages([message('a')], taking([]).take, {})).resolves.toEqual({
      batchItemFailures: [],
    })
  })
})
