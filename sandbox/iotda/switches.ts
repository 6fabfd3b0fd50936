import type { Answer } from '../kit/http.ts'

export type KeyEncoding = 'pkcs1' | 'pkcs8' | 'sec1' | 'pkcs8-encrypted'

/** Why a call is refused; the platform publishes no codes for most of these. */
export type Refusal =
  | 'invalid-input'
  | 'not-json'
  | 'limit'
  | 'marker'
  | 'certificate'
  | 'key'
  | 'key-mismatch'
  | 'no-common-name'
  | 'password'
  | 'certificate-quota'
  | 'bound'
  | 'unknown-certificate'
  | 'configuration-quota'
  | 'unknown-configuration'
  | 'unknown-certificate-in-configuration'

export interface ErrorAnswer {
  readonly status: number
  readonly code: string
  readonly message: string
}

/** The documented codes where there are any; plausible inventions of the same family otherwise. */
export const defaultErrors: Readonly<Record<Refusal, ErrorAnswer>> = {
  'invalid-input': { status: 400, code: 'IOTDA.000006', message: 'Invalid input data.' },
  'not-json': { status: 400, code: 'IOTDA.000008', message: 'The request format is incorrect.' },
  limit: { status: 400, code: 'IOTDA.000017', message: 'The limit is out of range.' },
  marker: { status: 400, code: 'IOTDA.000014', message: 'The marker is invalid.' },
  certificate: { status: 400, code: 'IOTDA.014301', message: 'The certificate content is invalid.' },
  key: { status: 400, code: 'IOTDA.014320', message: 'The private key is invalid.' },
  'key-mismatch': {
    status: 400,
    code: 'IOTDA.014321',
    message: 'The private key does not match the certificate.',
  },
  // A sibling of the platform refuses one so (IoTDP.100226).
  'no-common-name': {
    status: 400,
    code: 'IOTDA.014326',
    message: 'The certificate has no common name.',
  },
  password: { status: 400, code: 'IOTDA.014322', message: 'The private key password is incorrect.' },
  'certificate-quota': {
    status: 400,
    code: 'IOTDA.014323',
    message: 'The number of server certificates has reached the limit.',
  },
  bound: { status: 400, code: 'IOTDA.014324', message: 'The server certificate is in use.' },
  'unknown-certificate': {
    status: 404,
    code: 'IOTDA.014325',
    message: 'The server certificate does not exist.',
  },
  'configuration-quota': {
    status: 400,
    code: 'IOTDA.014330',
    message: 'The number of domain configurations has reached the limit.',
  },
  'unknown-configuration': {
    status: 404,
    code: 'IOTDA.014331',
    message: 'The domain configuration does not exist.',
  },
  'unknown-certificate-in-configuration': {
    status: 400,
    code: 'IOTDA.014325',
    message: 'The server certificate does not exist.',
  },
}

/** What the documentation leaves open; defaults are the unkind reading. */
export interface Switches {
  /** Documented 201 for List, Show and Update; some clients have seen 200. */
  readStatus: 200 | 201
  deleteBound: 'refuse' | 'allow'
  putWithoutConfig: 'reset' | 'keep'
  /** List and Show answer the state of that long ago. */
  readLagMs: number
  /** `strict`: leaf first, and every next certificate issued the one before. */
  chainOrder: 'strict' | 'leaf-first'
  /** Blank lines between the blocks of a chain, as ACME servers send them. */
  blankLines: 'refuse' | 'accept'
  keyEncodings: readonly KeyEncoding[]
  keyAlgorithms: readonly ('rsa' | 'ec')[]
  /** How Show gives the PEM back. */
  shownPem: 'as-uploaded' | 'crlf' | 'leaf-only'
  /** The `common_name` of a certificate that has none. */
  missingCommonName: 'omit' | 'empty'
  /** Whether a certificate without CN, as newer profiles of CAs have it, is taken at all. */
  withoutCommonName: 'accept' | 'refuse'
  certificateQuota: number
  configurationQuota: number
  errors: Readonly<Record<Refusal, ErrorAnswer>>
}

export const defaultSwitches: Readonly<Switches> = {
  readStatus: 201,
  deleteBound: 'refuse',
  putWithoutConfig: 'reset',
  readLagMs: 0,
  chainOrder: 'strict',
  blankLines: 'refuse',
  keyEncodings: ['pkcs1', 'pkcs8', 'sec1', 'pkcs8-encrypted'],
  keyAlgorithms: ['rsa', 'ec'],
  shownPem: 'as-uploaded',
  missingCommonName: 'omit',
  withoutCommonName: 'accept',
  certificateQuota: 2,
  configurationQuota: 1,
  errors: defaultErrors,
}

/** Changes to the switches; `errors` may name only some refusals, and only a part of each. */
export type SwitchChanges = Partial<Omit<Switches, 'errors'>> & {
  readonly errors?: { readonly [R in Refusal]?: Partial<ErrorAnswer> }
}

/** Applies changes in place; throws at an unknown switch or refusal. */
export function changeSwitches(switches: Switches, changes: SwitchChanges): void {
  const { errors, ...rest } = changes
  for (const name of Object.keys(rest))
    if (!(name in defaultSwitches)) throw new Error(`unknown switch: ${name}`)
  for (const name of Object.keys(errors ?? {}))
    if (!(name in defaultErrors)) throw new Error(`unknown refusal: ${name}`)
  Object.assign(switches, rest)
  const merged: Record<string, ErrorAnswer> = { ...switches.errors }
  for (const [name, change] of Object.entries(errors ?? {}))
    merged[name] = { ...switches.errors[name as Refusal], ...change }
  switches.errors = merged as Record<Refusal, ErrorAnswer>
}

/** Thrown by an action; becomes the error answer of the switches. */
export class Refused extends Error {
  readonly refusal: Refusal
  constructor(refusal: Refusal, detail = '') {
    super(detail === '' ? refusal : `${refusal}: ${detail}`)
    this.name = 'Refused'
    this.refusal = refusal
  }
}

/** The error answer of a refusal. https://support.huaweicloud.com/intl/en-us/api-iothub/ErrorCode.html */
export function refusalAnswer(switches: Switches, refused: Refused): Answer {
  const { status, code, message } = switches.errors[refused.refusal]
  return { status, body: { error_code: code, error_msg: message } }
}
