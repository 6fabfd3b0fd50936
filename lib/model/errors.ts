/** Every error code, and how an answer shows an error. */

/** Every error code. `exit` 2: a person mends the settings or what they point at; 3: another run is at work. */
export const ERROR_CODES = {
  usage: { exit: 2, text: 'the command or event is not understood' },
  'settings-invalid': { exit: 2, text: 'the settings have mistakes' },
  unauthorized: { exit: 2, text: 'a service refused the credentials or the signature (401)' },
  forbidden: { exit: 2, text: 'a service says the credentials may not do this (403)' },
  unreachable: { exit: 2, text: 'no connection to a configured address' },
  'domain-configuration-missing': { exit: 2, text: 'the instance has no domain configuration' },
  'domain-mismatch': { exit: 2, text: 'the domain configuration is for another domain than is set' },
  'certificate-invalid': { exit: 2, text: 'what the source gave is no usable certificate' },
  'solver-zone-missing': { exit: 2, text: 'the DNS solver does not hold the zone of a name' },
  'delegation-mismatch': { exit: 2, text: 'a name does not lead to the DNS zone that the solver writes to' },
  'dnssec-broken': { exit: 2, text: 'the DNSSEC chain of trust to a name is broken: CAs see nothing there' },
  'caa-forbids': { exit: 2, text: 'CAA records do not let this CA issue for a name' },
  'ca-rejected': { exit: 2, text: 'the CA rejects the request as it is configured' },
  unavailable: { exit: 1, text: 'a service failed or gave an unreadable answer' },
  throttled: { exit: 1, text: 'a service asks for fewer calls' },
  'service-refused': { exit: 1, text: 'a service refused a call' },
  'rate-limited': { exit: 1, text: 'the CA asks to wait' },
  'validation-failed': { exit: 1, text: 'the CA could not validate a name' },
  'order-failed': { exit: 1, text: 'the CA gave up on the order' },
  'not-renewed': { exit: 1, text: 'the source holds nothing newer than what is bound' },
  'propagation-timeout': { exit: 1, text: 'a TXT record is not at every authoritative server' },
  'preflight-refused': { exit: 1, text: 'devices would not accept the new certificate' },
  'slots-full': { exit: 1, text: 'both slots are used and neither may be deleted' },
  'add-uncertain': { exit: 1, text: 'it is unknown whether IoTDA took the certificate' },
  'not-served': { exit: 1, text: 'the device port does not serve the bound certificate' },
  'nothing-to-roll-back': { exit: 1, text: 'there is no previous certificate to go back to' },
  'store-unreadable': { exit: 1, text: 'the state cannot be read' },
  'store-conflict': { exit: 1, text: 'another writer changed the state' },
  'lease-lost': { exit: 3, text: 'another run took over' },
  busy: { exit: 3, text: 'another run is at work on this instance' },
  changed: { exit: 1, text: 'the binding keeps changing under the run' },
  'out-of-time': { exit: 3, text: 'the run has no time left' },
  internal: { exit: 1, text: 'a mistake in iotda-cert itself' },
} as const satisfies Record<string, { exit: 1 | 2 | 3; text: string }>
export type ErrorCode = keyof typeof ERROR_CODES

export interface ReportedError {
  readonly code: ErrorCode
  readonly message: string
  readonly hint: string | null
  readonly retryAt: string | null
}
