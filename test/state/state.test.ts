import { beforeEach, describe, expect, test } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import { instanceKey, newPendingId, segment, specHashOf, targetKey } from '../../lib/state/state.ts'
import { NOW, pendingCertificate, settled, spec, target } from '../rotation/facts.ts'
import { newState, type State } from '../rotation/state.ts'
import { failureOf } from '../support/failure.ts'

const KEY_PEM = '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n'

let state: State
beforeEach(async () => {
  state = await newState()
})
/** As the next process would open them. */
const records = () => state.open().records
const document = () => records().target(target)

describe('a document', () => {
  test('that is absent is empty, and reading writes nothing', async () => {
    const opened = records()
    expect(await opened.target(target).get()).toMatchObject({ name: 'factory-1', current: null, added: [] })
    expect(await opened.certificate('iot').get()).toMatchObject({ pending: null, current: null })
    expect(await opened.history(target).get()).toEqual({ schema: 1, rotations: [], lastSteps: [] })
    expect(await state.files()).toEqual({})
  })

  test('what somebody else says is cut before it is written; a chain is not', async () => {
    const [why, chainPem] = ['x'.repeat(40_000), 'y'.repeat(40_000)]
    await document().update(d => ({ ...d, held: { since: NOW, why, specHash: 's' } }))
    expect((await document().get()).held?.why.length).toBeLessThan(1_000)
    const certificate = records().certificate('iot')
    await certificate.update(d => ({ ...d, pending: pendingCertificate({ chainPem }) }))
    expect((await records().certificate('iot').get()).pending?.chainPem).toBe(chainPem)
  })

  test('is there for the next process', async () => {
    await document().update(() => settled({ failures: 3, retryAfter: NOW }))
    expect(await document().get()).toEqual(settled({ failures: 3, retryAfter: NOW }))
  })

  test('a change that changes nothing writes nothing', async () => {
    const mine = document()
    await mine.update(d => ({ ...d, failures: 1 }))
    const before = await state.files()
    await mine.update(d => d)
    expect(await state.files()).toEqual(before)
  })

  test('two writers that know the same revision: both changes are kept', async () => {
    const mine = document()
    const theirs = document()
    await Promise.all([mine.get(), theirs.get()])
    await theirs.update(d => ({ ...d, added: [...d.added, 'theirs'] }))
    await mine.update(d => ({ ...d, added: [...d.added, 'mine'] }))
    expect((await document().get()).added).toEqual(['theirs', 'mine'])
  })

  test('many changes at once, in one process and from two: none is lost', async () => {
    const documents = [state.open(), state.open()].map(({ records }) => records.target(target))
    await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        documents[i % 2]?.update(d => ({ ...d, added: [...d.added, `${i}`] })),
      ),
    )
    const { added } = await document().get()
    expect(added.toSorted((x, y) => Number(x) - Number(y))).toEqual(
      Array.from({ length: 12 }, (_, i) => `${i}`),
    )
  })

  test('what is kept in hand is not read again, until asked to', async () => {
    const mine = document()
    await mine.get()
    await document().update(d => ({ ...d, failures: 7 }))
    expect((await mine.get()).failures).toBe(0)
    expect((await mine.refresh()).failures).toBe(7)
    expect((await mine.get()).failures).toBe(7)
  })

  test('one store document for one target of one run', () => {
    const opened = records()
    expect(opened.target(target)).toBe(opened.target({ ...target, name: 'renamed' }))
  })
})

describe('a document that cannot be read is an error, and stays as it is', () => {
  const whole = JSON.stringify(settled())
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['truncated', whole.slice(0, 100), /no JSON/],
    ['empty', '', /no JSON/],
    ['no object', 'null', /carries no MAC/],
    ['another shape', '{"schema":1,"name":"x"}', /current/],
    ['a wrong type', whole.replace('"failures":0', '"failures":"0"'), /failures/],
    ['no schema', whole.replace('"schema":1,', ''), /schema/],
    ['a newer schema', whole.replace('"schema":1', '"schema":2'), /schema 2 is newer than this program/],
  ]
  test.each(cases)('%s', async (_, body, message) => {
    const key = `targets/${targetKey(target)}`
    await document().update(() => settled())
    const isJson = body.endsWith('}')
    await (isJson ? state.damageSigned(key, body) : state.damage(key, body))
    const before = await state.files()

    const mine = document()
    for (const work of [mine.get(), mine.refresh(), mine.update(d => ({ ...d, failures: 9 }))]) {
      const error = await failureOf(work)
      expect(error).toMatchObject({ code: 'store-unreadable', retry: 'never' })
      expect(error.message).toMatch(message)
      expect(error.message).toContain(key)
      expect(error.hint).toContain('Nothing was changed')
    }
    expect(await state.files()).toEqual(before)
  })
})

describe('a private key', () => {
  test('is kept sealed, comes back the same, and is gone when wiped', async () => {
    const id = newPendingId()
    const journal = await records().journal('iot', id)
    expect((await journal.privateKey(async () => KEY_PEM)).reveal()).toBe(KEY_PEM)
    const text = Object.values(await state.files()).join('\n')
    expect(text).not.toContain('PRIVATE KEY')
    expect(text).not.toContain('c2VjcmV0')

    const opened = records()
    expect((await opened.privateKey('iot', id))?.reveal()).toBe(KEY_PEM)
    const again = await opened.journal('iot', id)
    const kept = await again.privateKey(() => expect.unreachable('a second key was made'))
    expect(kept.reveal()).toBe(KEY_PEM)

    await opened.wipeKey('iot', id)
    expect(await records().privateKey('iot', id)).toBeNull()
    expect(await state.files()).toEqual({})
    await opened.wipeKey('iot', id)
  })

  test('of another certificate is another document, and a moved one does not open', async () => {
    const opened = records()
    const [one, two] = [newPendingId(), newPendingId()]
    for (const id of [one, two]) await (await opened.journal('iot', id)).privateKey(async () => `key ${id}`)
    const [first = ''] = Object.entries(await state.files()).flatMap(([name, body]) =>
      name.includes(one) ? [body] : [],
    )
    await state.damage(`certificates/iot/${two}`, first)
    const { code, message } = await failureOf(records().privateKey('iot', two))
    expect(code).toBe('store-unreadable')
    expect(message).toContain('belongs to another document')
  })

  test('that was damaged is an error, not another key', async () => {
    const id = newPendingId()
    await (await records().journal('iot', id)).privateKey(async () => KEY_PEM)
    await state.damage(`certificates/iot/${id}`, 'v1.garbage')
    const journal = await records().journal('iot', id)
    const error = await failureOf(journal.privateKey(() => expect.unreachable('a second key was made')))
    expect(error.code).toBe('store-unreadable')
  })

  test('asked for by two at once is one', async () => {
    const id = newPendingId()
    const journals = await Promise.all([1, 2].map(() => records().journal('iot', id)))
    const keys = await Promise.all(journals.map((journal, i) => journal.privateKey(async () => `key ${i}`)))
    expect(keys[0]?.reveal()).toBe(keys[1]?.reveal())
    expect((await records().privateKey('iot', id))?.reveal()).toBe(keys[0]?.reveal())
  })
})

describe('a key that was made elsewhere', () => {
  test('rests sealed, in the place of one before, and is wiped like any other', async () => {
    const [id, other] = [newPendingId(), `${KEY_PEM} of the renewed one`]
    const journal = await records().journal('iot', id)
    for (const key of [KEY_PEM, other]) {
      await journal.adoptKey(secret(key))
      const opened = records()
      expect((await opened.privateKey('iot', id))?.reveal()).toBe(key)
      const again = await opened.journal('iot', id)
      const kept = await again.privateKey(() => expect.unreachable('a second key was made'))
      expect(kept.reveal()).toBe(key)
    }
    expect(Object.values(await state.files()).join('\n')).not.toMatch(/PRIVATE KEY|c2VjcmV0/)
    await records().wipeKey('iot', id)
    expect(await records().privateKey('iot', id)).toBeNull()
  })
})

describe('a journal', () => {
  const begin = (id: string) =>
    records()
      .certificate('iot')
      .update(d => ({ ...d, pending: pendingCertificate({ id }) }))

  test('begins empty, and what was written is there after a crash', async () => {
    await begin('p1')
    const journal = await records().journal('iot', 'p1')
    expect(journal.notes).toEqual({})
    await journal.write({ order: 'https://ca/order/1' })
    expect(journal.notes).toEqual({ order: 'https://ca/order/1' })
    expect((await records().journal('iot', 'p1')).notes).toEqual({ order: 'https://ca/order/1' })
  })

  test('of a pending certificate that another run dropped cannot be written', async () => {
    await begin('p1')
    const journal = await records().journal('iot', 'p1')
    await begin('p2')
    const { code, message } = await failureOf(journal.write({ order: 'x' }))
    expect(code).toBe('store-conflict')
    expect(message).toContain('p1')
    expect(journal.notes).toEqual({})
    expect((await records().certificate('iot').get()).pending).toMatchObject({
      id: 'p2',
      notes: {},
    })
  })
})

describe('what a source remembers', () => {
  test('is there for the next process', async () => {
    const memory = records().source('letsencrypt')
    expect(await memory.read()).toEqual({})
    await memory.update(() => ({ account: 'https://ca/acct/1' }))
    expect(await records().source('letsencrypt').read()).toEqual({ account: 'https://ca/acct/1' })
    expect(await records().source('other').read()).toEqual({})
  })

  test('is not overwritten by a run that read it before another one wrote: the change is made to what is there', async () => {
    const [mine, theirs] = [1, 2].map(() => records().source('letsencrypt'))
    if (!mine || !theirs) throw new Error('two memories')
    await Promise.all([mine.read(), theirs.read()])
    await theirs.update(() => ({ account: 'theirs' }))
    await mine.update(notes => ({ ...notes, directory: 'mine' }))
    expect(await records().source('letsencrypt').read()).toEqual({
      account: 'theirs',
      directory: 'mine',
    })
  })

  test('is not changed by a change that throws, nor written by one that changes nothing', async () => {
    const memory = records().source('letsencrypt')
    await memory.update(() => ({ account: 'a' }))
    const before = await state.files()
    await memory.update(notes => notes)
    const refusal = memory.update(() => {
      throw new Error('no')
    })
    await expect(refusal).rejects.toThrow('no')
    expect(await state.files()).toEqual(before)
    expect(await memory.read()).toEqual({ account: 'a' })
  })

  test('a secret made by two at once is one, and sealed', async () => {
    const memories = [1, 2, 3].map(() => records().source('letsencrypt'))
    const made = await Promise.all(memories.map((m, i) => m.secret('account-key', async () => `SECRET ${i}`)))
    const values = new Set(made.map(s => s.reveal()))
    expect(values.size).toBe(1)
    expect(Object.values(await state.files()).join()).not.toContain('SECRET')
  })
})

describe('keys', () => {
  test('a segment is a lower-case name, told apart by a hash where that lost something', () => {
    expect(segment('lets-encrypt-2')).toBe('lets-encrypt-2')
    expect(segment('Iot')).toMatch(/^iot-[0-9a-f]{8}$/)
    expect(new Set(['a.b', 'a_b', 'A-b', 'a-b'].map(segment)).size).toBe(4)
  })

  test('the longest names fit into a file’s name', async () => {
    const domain = `${`${'a'.repeat(60)}.`.repeat(4)}example`
    const long = { ...target, domain }
    await records()
      .target(long)
      .update(d => ({ ...d, failures: 1 }))
    expect((await records().target(long).get()).failures).toBe(1)
    expect(segment('a'.repeat(300))).not.toBe(segment('a'.repeat(301)))
  })

  test('a target is its project, instance and domain; its name is only a label', () => {
    const other = (more: object) => targetKey({ ...target, instance: { ...target.instance, ...more } })
    expect(targetKey({ ...target, name: 'renamed', certificate: 'other' })).toBe(targetKey(target))
    const keys = [
      targetKey(target),
      targetKey({ ...target, domain: 'a.example.com' }),
      other({ projectId: 'q' }),
      other({ instanceId: 'j' }),
    ]
    expect(new Set(keys).size).toBe(4)
    expect(instanceKey({ ...target, domain: 'a.example.com' })).toBe(instanceKey(target))
  })

  test('the spec hash follows what makes another certificate, and nothing else', () => {
    const two = { ...spec, names: ['b.example.com', 'a.example.com'] }
    expect(specHashOf({ ...two, names: [...two.names].reverse() })).toBe(specHashOf(two))
    expect(
      specHashOf({
        ...spec,
        renewBefore: { share: 0.5 },
        ari: false,
        name: 'x',
        profileFallback: true,
        reuseKey: true,
      }),
    ).toBe(specHashOf(spec))
    // One source: as it always was, so that no update of the program orders anew.
    expect(specHashOf(spec)).toBe('39c58d1a30187dd2')
    const others = [
      spec,
      two,
      { ...spec, keyType: 'ec-256' as const },
      { ...spec, sources: ['other'] },
      { ...spec, sources: ['letsencrypt', 'other'] },
      { ...spec, sources: ['other', 'letsencrypt'] },
      { ...spec, profile: 'shortlived' },
    ]
    expect(new Set(others.map(specHashOf)).size).toBe(others.length)
  })
})
