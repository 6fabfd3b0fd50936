import { RotationError } from '../base/rotation-error.ts'

/** Lower case, without the final dot. */
export const bareName = (name: string): string => name.toLowerCase().replace(/\.$/, '')

const MAX_LABEL = 63
const MAX_NAME = 253

/** Refuses a name that no DNS message can carry (RFC 1035 section 2.3.4). @throws RotationError `settings-invalid` */
export function checkName(name: string, what: string): void {
  const bare = bareName(name)
  if (bare.length <= MAX_NAME && bare.split('.').every(({ length }) => length > 0 && length <= MAX_LABEL))
    return
  const rule = `at most ${MAX_LABEL} characters in a label and ${MAX_NAME} in all`
  throw new RotationError('settings-invalid', `${what}: ${name} is no DNS name: ${rule}`, {
    retry: 'never',
    hint: 'Check the names of the certificate; `_acme-challenge.` is put in front of each.',
  })
}
