/** What a person is told of, and in which shape: the events of the one vocabulary, of which model.ts has the rest. */

export const SEVERITIES = ['info', 'warning', 'critical'] as const
export type Severity = (typeof SEVERITIES)[number]

/**
 * Every event. `severity` is where it begins: it rises as the days of the served certificate run out. A `state` is
 * told once, again when it gets worse or at a slow reminder, and ends with `recovered`; the others happen and are
 * told once. `text` follows the name of a target; `todo` is what to do when no error says something better.
 */
export const EVENTS = {
  rotated: {
    severity: 'info',
    state: false,
    text: 'has a new certificate',
    todo: 'Nothing: devices are served the new certificate.',
  },
  repaired: {
    severity: 'info',
    state: false,
    text: 'was repaired: the bound certificate is served again',
    todo: 'Nothing now. If it comes back, see who changes the domain configuration.',
  },
  failed: {
    severity: 'warning',
    state: true,
    text: 'fails to renew',
    todo: 'Read the error; the run is tried again by itself after a back-off.',
  },
  'rolled-back': {
    severity: 'warning',
    state: true,
    text: 'was rolled back: the old certificate is bound again',
    todo: 'See why the new certificate could not be served; that very certificate is not bound again.',
  },
  refused: {
    severity: 'warning',
    state: true,
    text: 'got no certificate that devices would accept',
    todo: 'Read what preflight found; change the source, the key type or the profiles.',
  },
  held: {
    severity: 'warning',
    state: true,
    text: 'is held: nothing changes until a person says so',
    todo: 'Find out why, then run `iotda-cert resume`.',
  },
  suspended: {
    severity: 'warning',
    state: true,
    text: 'has been waiting too long',
    todo: 'See which step waits, and for whom, with `iotda-cert status`.',
  },
  paused: {
    severity: 'warning',
    state: true,
    text: 'may not order yet: the CA or the budget says so',
    todo: 'Nothing helps before that instant; do not force orders. Find out what used them up.',
  },
  expiring: {
    severity: 'warning',
    state: true,
    text: 'is running out of time',
    todo: 'Mend the cause before the certificate ends; then `iotda-cert rotate --force`.',
  },
  'root-ending': {
    severity: 'warning',
    state: true,
    text: 'depends on a root or cross-sign that ends soon',
    todo: 'Plan new trust for the devices, or another chain, well before that day.',
  },
  'devices-missing': {
    severity: 'critical',
    state: true,
    text: 'has fewer devices online than usual since its certificate changed, and there is no way back',
    todo: 'See with `iotda-cert status` how many, and whether they are reachable at all; the old certificate cannot help.',
  },
  'rollout-frozen': {
    severity: 'warning',
    state: true,
    text: 'is not given what devices of another target could not use',
    todo: 'See what happened where with `iotda-cert rollout`; then `iotda-cert rollout resume KIND`, or change the source.',
  },
  'dnssec-ending': {
    severity: 'warning',
    state: true,
    text: 'will not be renewed: DNSSEC of its names is broken, or ends before',
    todo: 'Let the DNS service sign the zone anew, and mend its DS records, before the next renewal.',
  },
  recalled: {
    severity: 'warning',
    state: true,
    text: 'has a certificate that the CA wants replaced at once',
    todo: 'Nothing: it is replaced, except when the one before was called back as well. See whether it is revoked.',
  },
  adopted: {
    severity: 'warning',
    state: false,
    text: 'has a certificate that somebody else bound; it is looked after from now on',
    todo: 'Make sure that a person or another rotator meant it.',
  },
  unverified: {
    severity: 'warning',
    state: false,
    text: 'could not be seen from here: the change is not verified',
    todo: 'Run `iotda-cert probe` where the device port can be reached.',
  },
  'next-key': {
    severity: 'warning',
    state: false,
    text: 'will have another key: devices that pin keys must learn it',
    todo: 'Give the devices this pin beside the present one, before a certificate has that key.',
  },
  'slot-deleted': {
    severity: 'info',
    state: false,
    text: 'had a superseded certificate deleted to make room',
    todo: 'Nothing: it was not bound.',
  },
  recovered: { severity: 'info', state: false, text: 'is well again', todo: 'Nothing.' },
  'settings-invalid': {
    severity: 'critical',
    state: true,
    text: 'cannot run: the settings have mistakes',
    todo: 'Mend what is listed. Until then no target is looked after.',
  },
  'run-failed': {
    severity: 'critical',
    state: true,
    text: 'cannot run at all',
    todo: 'Mend what the error names. Until then no target is looked after.',
  },
  test: {
    severity: 'info',
    state: false,
    text: 'sends a test message',
    todo: 'Nothing: this was a test.',
  },
  'watch-unreachable': {
    severity: 'critical',
    state: true,
    text: 'cannot be reached at its device port',
    todo: 'Check DNS, network and instance: devices cannot connect either.',
  },
  'watch-untrusted': {
    severity: 'critical',
    state: true,
    text: 'serves a certificate that devices do not trust',
    todo: 'Bind a good certificate: `iotda-cert rollback`, or in the console.',
  },
  'watch-revoked': {
    severity: 'critical',
    state: true,
    text: 'serves a certificate or intermediate that was revoked',
    todo: 'Run `iotda-cert rotate --force`: devices that look at revocation refuse what is served.',
  },
  'watch-wrong-name': {
    severity: 'critical',
    state: true,
    text: 'serves a certificate for another name',
    todo: 'Check the domain configuration of the instance and what is bound to it.',
  },
  'watch-rotator-silent': {
    severity: 'critical',
    state: true,
    text: 'has not finished a run for too long',
    todo: 'See the log and the schedule of the rotator; run `iotda-cert rotate` by hand.',
  },
} as const satisfies Record<string, { severity: Severity; state: boolean; text: string; todo: string }>
export type EventName = keyof typeof EVENTS

/** A certificate as an alert names it. */
export interface AlertLeaf {
  readonly fingerprint: string
  readonly issuer: string
  /** ISO 8601, as every instant here. */
  readonly notAfter: string
}

/** One alert, version 1 of its shape; plain JSON, and no secrets. Later versions only add members. */
export interface AlertEvent {
  readonly version: 1
  readonly event: EventName
  readonly severity: Severity
  /** Why it is told now: the state is new or worse, a reminder of it, its end, or something that happened once. */
  readonly kind: 'new' | 'worse' | 'reminder' | 'recovered' | 'moment'
  /** Stable: the same for everything that is told of one state of one target, its end included. */
  readonly dedupKey: string
  /** Null: it is about the run as a whole, or about many targets. */
  readonly target: string | null
  /** Many targets in one state for one reason, told as one: how many, and the most urgent by name, 50 at most. */
  readonly targets?: { readonly count: number; readonly names: readonly string[] }
  readonly domain: string | null
  readonly reason: string
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null } | null
  /**
   * Whole days left of what is served, or bound where it cannot be seen, or as last seen where neither can; of many:
   * at worst; negative: it has ended.
   */
  readonly daysLeft: number | null
  readonly before: AlertLeaf | null
  readonly after: AlertLeaf | null
  readonly runId: string
  readonly at: string
  /** When the state began. */
  readonly since: string | null
  /** How long it has lasted, or of `recovered`: had lasted. */
  readonly durationMs: number | null
  /** Of `recovered`: what is over, and the worst that was told of it. */
  readonly ends: { readonly event: EventName; readonly severity: Severity } | null
  readonly nextTryAt: string | null
  readonly whatToDo: string
  /** Where RUNBOOK.md speaks of it. */
  readonly runbook: string
}

export const EVENT_NAMES = Object.keys(EVENTS) as readonly EventName[]

/** Whether one severity is worse than another. */
export const isWorse = (one: Severity, other: Severity): boolean =>
  SEVERITIES.indexOf(one) > SEVERITIES.indexOf(other)

/** The worse of two. */
export const worst = (one: Severity, other: Severity): Severity => (isWorse(one, other) ? one : other)
