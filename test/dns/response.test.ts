/** Answers as bytes: what no server should send is a failure, never an exception. */
import packet from 'dns-packet'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type RecordType, readResponse } from '../../lib/dns/resolve/response.ts'

const TYPES: readonly RecordType[] = ['A', 'AAAA', 'CAA', 'CNAME', 'NS', 'SOA', 'TXT']
const asked = (type: RecordType) => ({ id: 7, name: 'Example.com', type })

const whole = packet.encode({
  ...{ type: 'response', id: 7, flags: packet.AUTHORITATIVE_ANSWER },
  questions: [{ type: 'NS', name: 'example.com' }],
  answers: [
    { type: 'NS', name: 'example.com', ttl: 60, data: 'ns1.example.com' },
    { type: 'NS', name: 'EXAMPLE.com', ttl: 30, data: 'NS2.example.com' },
  ],
  additionals: [{ type: 'A', name: 'ns1.example.com', ttl: 1, data: '192.0.2.1' }],
})

describe('an answer', () => {
  it('is read with its authority and the shortest time to live', () => {
    const { message, resolved } = readResponse(whole, asked('NS'))
    expect(message).toMatchObject({ isAuthoritative: true, question: { name: 'example.com', type: 2 } })
    expect(resolved).toEqual({
      kind: 'records',
      records: ['ns1.example.com', 'ns2.example.com'],
      rememberedMs: 30_000,
    })
  })

  it.each([
    ['of another id', { ...asked('NS'), id: 8 }],
    ['to another name', { ...asked('NS'), name: 'example.org' }],
    ['to another type', asked('TXT')],
  ])('%s is none', (_, question) => {
    expect(readResponse(whole, question).resolved).toEqual({
      kind: 'failed',
      why: 'no DNS answer to this question',
    })
  })

  it('that is a question is none', () => {
    const query = packet.encode({ type: 'query', id: 7, questions: [{ type: 'NS', name: 'example.com' }] })
    expect(readResponse(query, asked('NS')).resolved.kind).toBe('failed')
  })

  it('cut anywhere is none, or says what is left of it', () => {
    for (let length = 0; length < whole.length; length += 1)
      expect(readResponse(whole.subarray(0, length), asked('NS')).resolved.kind).toBe('failed')
  })

  describe('of a name that is none', () => {
    const header = Buffer.from([0, 7, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0])
    const question = Buffer.concat([Buffer.from('\x07example\x03com\0'), Buffer.from([0, 2, 0, 1])])
    const nameAt = header.length + question.length + 10 + 1
    /** An NS record of the root whose data is this. */
    const withName = (data: Buffer) =>
      readResponse(
        Buffer.concat([
          ...[header, question, Buffer.from([0, 0, 2, 0, 1, 0, 0, 0, 60])],
          ...[Buffer.from([data.length >> 8, data.length & 255]), data],
        ]),
        asked('NS'),
      ).resolved
    const label = Buffer.from('\x09123456789')
    const pointer = (to: number) => Buffer.from([0xc0 | (to >> 8), to & 255])
    const labels = (count: number) => Buffer.concat(Array.from({ length: count }, () => label))
    const NONE = { kind: 'failed', why: 'no DNS answer to this question' }

    it('is none: more than 255 bytes', () => {
      expect(withName(Buffer.concat([labels(25), Buffer.from('\0')])).kind).toBe('records')
      expect(withName(Buffer.concat([labels(26), Buffer.from('\0')]))).toEqual(NONE)
    })

    it('is none: a label of more than 63 bytes', () => {
      expect(withName(Buffer.from(`\x40${'a'.repeat(64)}\0`))).toEqual(NONE)
    })

    it('is none: a pointer that does not lead back', () => {
      const start = nameAt - 1
      expect(withName(Buffer.concat([label, pointer(header.length)]))).toMatchObject({
        records: ['123456789.example.com'],
      })
      expect(withName(Buffer.concat([label, pointer(start)]))).toEqual(NONE)
      expect(withName(Buffer.concat([pointer(start + 2), Buffer.from('\0')]))).toEqual(NONE)
    })

    it('is none: thousands of pointers one after another', () => {
      // A record of another type holds pointers, each to the one before it; the name asked for is at their end.
      const first = header.length + question.length + 11
      const chain = (count: number) =>
        Buffer.concat([
          Buffer.from('\0'),
          ...Array.from({ length: count }, (_, i) => pointer(i === 0 ? first : first + 1 + 2 * (i - 1))),
        ])
      const read = (count: number) => {
        const data = chain(count)
        const last = first + 1 + 2 * (count - 1)
        const twoAnswers = Buffer.from(header)
        twoAnswers.writeUInt16BE(2, 6)
        const other = Buffer.from([0, 0, 99, 0, 1, 0, 0, 0, 60, data.length >> 8, data.length & 255])
        const ns = Buffer.from([0, 0, 2, 0, 1, 0, 0, 0, 60, 0, 2])
        return readResponse(
          Buffer.concat([twoAnswers, question, other, data, ns, pointer(last)]),
          asked('NS'),
        ).resolved
      }
      expect(read(100)).toMatchObject({ records: [''] })
      expect(read(4_000)).toEqual(NONE)
    })
  })

  it.each([
    ['without the question', { questions: [] }],
    ['of another class', { questions: [{ type: 'NS', name: 'example.com', class: 'CH' }] }],
    [
      'with two questions',
      {
        questions: [
          { type: 'NS', name: 'example.com' },
          { type: 'NS', name: 'example.com' },
        ],
      },
    ],
  ])('%s is none', (_, odd) => {
    const answers = [{ type: 'NS', name: 'example.com', ttl: 60, data: 'ns1.example.com' }]
    const bytes = packet.encode({ type: 'response', id: 7, flags: 0, answers, ...odd } as never)
    expect(readResponse(bytes, asked('NS')).resolved).toEqual({
      kind: 'failed',
      why: 'no DNS answer to this question',
    })
  })

  it('of another class says nothing', () => {
    const bytes = packet.encode({
      ...{ type: 'response', id: 7, questions: [{ type: 'TXT', name: 'example.com' }] },
      answers: [{ type: 'TXT', name: 'example.com', ttl: 60, data: 'v', class: 'CH' }],
    } as never)
    expect(readResponse(bytes, asked('TXT')).resolved.kind).toBe('nothing')
  })

  it('that only refuses need not repeat the question', () => {
    const bytes = Buffer.from([0, 7, 0x80, 5, 0, 0, 0, 0, 0, 0, 0, 0])
    expect(readResponse(bytes, asked('NS')).resolved).toEqual({ kind: 'failed', why: 'REFUSED' })
  })

  it.each([
    ['NS', 32],
    ['A', 64],
  ] as const)('with more %s records than any zone has is none', (type, most) => {
    const answer = (i: number) => ({
      ...{ type, name: 'example.com', ttl: 60 },
      data: type === 'A' ? `192.0.2.${i}` : `ns${i}.example.com`,
    })
    const read = (count: number) =>
      readResponse(
        packet.encode({
          ...{ type: 'response', id: 7, questions: [{ type, name: 'example.com' }] },
          answers: Array.from({ length: count }, (_, i) => answer(i)),
        } as never),
        asked(type),
      ).resolved
    expect(read(most).kind).toBe('records')
    expect(read(most + 1)).toEqual({
      kind: 'failed',
      why: `${most + 1} ${type} records, more than ${most}`,
    })
  })

  it('of whatever bytes is never an exception', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      // The right beginning, then anything, in the place of anything.
      fc
        .tuple(fc.nat(whole.length - 1), fc.uint8Array({ minLength: 1, maxLength: 20 }))
        .map(([at, noise]) => {
          const bent = Uint8Array.from(whole)
          bent.set(noise.subarray(0, bent.length - at), at)
          return bent
        }),
    )
    fc.assert(
      fc.property(bytes, fc.constantFrom(...TYPES), (message, type) => {
        const { resolved } = readResponse(Buffer.from(message), asked(type))
        return ['records', 'nothing', 'failed'].includes(resolved.kind)
      }),
      { numRuns: 2_000 },
    )
  })
})
