/** Rings: in which order targets are given what is new to devices. */
import type { Target } from './target.ts'

/** One ring; the targets of a later one wait until all of it has been well for its soak. */
export interface Ring {
  readonly name: string
  readonly targets: readonly Target[]
  readonly soakMs: number
}

/** The rings in order; every target is in exactly one. */
export type Rings = readonly Ring[]

/** What devices would notice of a chain: what they must trust, hold and compute to take it. */
export interface Kind {
  /** Names it in the state, in commands and in messages: 12 hex digits. */
  readonly id: string
  /** Common names (or whole names) of what the chain leads to, sorted. */
  readonly roots: readonly string[]
  /** Key type and signature algorithm of each certificate, the leaf first. */
  readonly levels: readonly { readonly keyType: string; readonly signature: string }[]
  /** Whether the leaf has a common name. */
  readonly commonName: boolean
  /** Of a certificate that targets share: that certificate alone, by fingerprint. */
  readonly only: string | null
}
