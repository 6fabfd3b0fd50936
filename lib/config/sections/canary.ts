import * as v from 'valibot'
import { orNull, secretField, textField } from '../../base/fields.ts'
import type { Canary } from '../../devices/canary.ts'

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
  orNull(
    v.pipe(
      v.strictObject({
        /** As IoTDA registered it, with `secret`. @example "canary-1" */
        deviceId: v.optional(textField('the id of a device')),
        /** Of that device. @example "env:CANARY_SECRET" */
        secret: v.optional(secretField()),
        /**
         * What it says in MQTT CONNECT instead, with `username` and `password`. @example "canary-1_0_0_2026010100"
         */
        clientId: v.optional(textField('a client id')),
        /** Of MQTT CONNECT. @example "canary-1" */
        username: v.optional(textField('a user name')),
        /** Of MQTT CONNECT. @example "env:CANARY_PASSWORD" */
        password: v.optional(secretField()),
      }),
      v.check(
        isOneShape,
        'must have "deviceId" and "secret", or "clientId", "username" and "password", and nothing else',
      ),
      v.transform(given => given as Canary),
    ),
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
