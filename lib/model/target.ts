/** What the operator names: a target, and how its device port is looked at. Instants are milliseconds since the epoch. */
import type { DeviceProfile } from './device-profile.ts'

/** How `private_key` is written: `pkcs1` is SEC 1 for an EC key; `encrypted-pkcs8` goes with a password. */
export const KEY_ENCODINGS = ['pkcs1', 'pkcs8', 'encrypted-pkcs8'] as const
export type KeyEncoding = (typeof KEY_ENCODINGS)[number]

/** One custom domain of one IoTDA instance. */
export interface Target {
  readonly name: string
  readonly domain: string
  readonly certificate: string
  readonly instance: {
    readonly region: string
    readonly projectId: string
    /** Sent as `Instance-Id`; null leaves the header out. */
    readonly instanceId: string | null
    readonly endpoint: string
    readonly signing: 'auto' | 'standard' | 'derived'
  }
  readonly keyEncoding: KeyEncoding
  readonly domainConfiguration: 'require' | 'create'
  readonly probe: ProbeSettings
  /** PEM of the roots that the devices trust; null: Node's. */
  readonly trustedRoots: string | null
  /** What is in the field; empty: devices that trust `trustedRoots` and take the kind of key they are served today. */
  readonly profiles: readonly DeviceProfile[]
  readonly preflight: {
    /** `bind`: in the emergency a certificate is bound in spite of preflight. */
    readonly emergency: 'refuse' | 'bind'
    /** Names beyond those ordered are refused, not only told. */
    readonly strictNames: boolean
  }
  readonly ocsp: 'require-url' | 'follow-certificate'
  /** After a bind devices online are counted; null: they are not. */
  readonly devices: DeviceWatch | null
  readonly slots: { readonly delete: 'superseded' | 'managed' | 'never' }
  /** Soak: a certificate is uploaded at once and bound only when it is that old. */
  readonly minAgeMs: number
  /** Change windows: when a bind may happen; empty: always. */
  readonly bindWindow: readonly BindWindow[]
}

/** How devices are counted after a bind, to see whether they came back. */
export interface DeviceWatch {
  /** How long after a bind. */
  readonly watchMs: number
  /** Share of the usual number that may be missing, 0 to 1. */
  readonly tolerance: number
  /** Conditions of the count, in the SQL of SearchDevices, joined by AND; null: all devices of the instance. */
  readonly where: string | null
  /** Where fewer are usual, a count says nothing. */
  readonly minimum: number
}

/** A range of the week in which a bind may happen, e.g. `mon-fri 02:00-05:00 Asia/Shanghai`. */
export interface BindWindow {
  /** As written, for messages. */
  readonly text: string
  /** 0 is Sunday. A range over midnight belongs to its first day. */
  readonly days: readonly number[]
  /** Minutes after midnight, local. */
  readonly from: number
  readonly to: number
  /** IANA name. */
  readonly timeZone: string
}

export interface ProbeSettings {
  /** `off`: never looked at; `best-effort`: unreachable before and after is a warning; `require`: it is a failure. */
  readonly mode: 'off' | 'best-effort' | 'require'
  readonly host: string
  readonly port: number
  /** Addresses to ask instead of those `host` resolves to. */
  readonly addresses: readonly string[]
  /** Consecutive matches wanted at every address. */
  readonly steady: number
  /** How long verify waits for the new leaf. */
  readonly withinMs: number
}
