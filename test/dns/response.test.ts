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
