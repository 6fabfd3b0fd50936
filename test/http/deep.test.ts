import { describe, expect, test } from 'vitest'
import { RotationError } from '../../lib/base/rotation-error.ts'
import { parseJson } from '../../lib/http/api-call.ts'
import { parseDocument } from '../../lib/state/document.ts'
import { SourceDocument } from '../../lib/state/documents.ts'

const nested = (levels: number): string => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`

describe('JSON within JSON', () => {
  test('of an API is none when nobody would give it', () => {
    expect(parseJson(nested(64))).toMatchObject({ a: { a: {} } })
    expect(parseJson(nested(65))).toBeUndefined()
    expect(parseJson('['.repeat(200_000) + ']'.repeat(200_000))).toBeUndefined()
  })

  test('of the state is unreadable, not the end of the process', () => {
    const read = () => parseDocument(SourceDocument, 'source', nested(200_000))
    expect(read).toThrow(RotationError)
    expect(read).toThrow(/nested too deeply/)
  })
})
