import { expect, test } from 'vitest'
import { openingFor } from '../../../lib/rotation/steps/bind-time.ts'
import { context, decided, leaf, NOW, target } from '../facts.ts'

test('a change window that never opens is waited for, and never taken for an open one', () => {
  const never = { text: 'never', days: [], from: 0, to: 60, timeZone: 'UTC' }
  const { decision } = decided({}, { reason: 'expiring' })
  const wait = openingFor(context({ target: { ...target, bindWindow: [never] } }), decision, leaf('b'))
  expect(wait).toMatchObject({ until: NOW + 1_800_000 })
})

test('what replaces a revoked certificate waits neither for its age nor for a change window', () => {
  const never = { text: 'never', days: [], from: 0, to: 60, timeZone: 'UTC' }
  const { decision } = decided({}, { reason: 'revoked' })
  const where = context({ target: { ...target, bindWindow: [never], minAgeMs: 3_600_000 } })
  expect(openingFor(where, decision, leaf('b'))).toBeNull()
})
