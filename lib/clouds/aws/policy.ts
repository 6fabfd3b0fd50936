import type { AwsStatement, RawEntry } from '../../contracts.ts'

/** A statement; what several entries name is named once. */
export const allow = (
  Sid: string,
  Action: readonly string[],
  Resource: readonly string[],
  Condition?: AwsStatement['Condition'],
): AwsStatement => ({
  Sid,
  Effect: 'Allow',
  Action,
  Resource: [...new Set(Resource)],
  ...(Condition ? { Condition } : {}),
})

/** A text of an entry, or what is so without it. */
export const textOf = (entry: RawEntry, key: string, fallback = '*'): string => {
  const value = entry[key]
  return typeof value === 'string' && value !== '' ? value : fallback
}

/** Where a store of AWS keeps its documents; an empty text is one. */
export const prefixOf = ({ prefix }: RawEntry, fallback: string): string =>
  typeof prefix === 'string' ? prefix : fallback

/** What a reference to a secret names: the secret, and the member of its JSON object, if it is one (`NAME#member`). */
export function secretPlace(reference: string): { readonly name: string; readonly member: string | null } {
  const at = reference.lastIndexOf('#')
  return at < 0
    ? { name: reference, member: null }
    : { name: reference.slice(0, at), member: reference.slice(at + 1) }
}
