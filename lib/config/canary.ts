import * as v from 'valibot'
import { secretField } from '../base/fields.ts'
import type { Canary } from '../devices/canary.ts'

const text = (what: string) =>
  v.pipe(v.string(`must be ${what}`), v.minLength(1, `must be ${what}, not empty`))

const SHAPES = [
  ['deviceId', 'secret'],
  ['clientId', 'username', 'password'],
] as const

const isOneShape = (given: object): boolean => {
  const keys = Object.entries(given).flatMap(([key, value]) => (value === undefined ? [] : [key]))
  return SHAPES.some(shape => shape.length === keys.length && shape.every(key => keys.includes(key)))
}

/**
 * A device registered for the probe alone: it connects after each rotation, and a device in the field with the
 * same id would be cut off. `deviceId` and `secret` as IoTDA registered it, or what it says in MQTT CONNECT.
 */
export const canaryField = () =>
  v.optional(
    v.nullable(
      v.pipe(
        v.strictObject({
          deviceId: v.optional(text('the id of a device')),
          secret: v.optional(secretField()),
          clientId: v.optional(text('a client id')),
          username: v.optional(text('a user name')),
          password: v.optional(secretField()),
        }),
        v.check(
          isOneShape,
          'must have "deviceId" and "secret", or "clientId", "username" and "password", and nothing else',
        ),
        v.transform(given => given as Canary),
      ),
    ),
    null,
  )

/** What a target's canaries are written as. */
interface Canaries {
  readonly probe: { readonly canary: Canary | null }
  readonly profiles: readonly (string | { readonly name: string; readonly canary?: Canary | null })[]
}

/** The canary for each profile: its own, else the target's; null asks for the target's. */
export function canaryOf({ probe, profiles }: Canaries): (profile: string | null) => Canary | null {
  const own = (name: string): Canary | null => {
    const profile = profiles.find(p => typeof p !== 'string' && p.name === name)
    return (typeof profile === 'object' ? profile.canary : null) ?? null
  }
  return profile => (profile === null ? probe.canary : (own(profile) ?? probe.canary))
}
