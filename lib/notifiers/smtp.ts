import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { isLoopbackUrl, pemField, portField, secretField } from '../base/fields.ts'
import { RotationError } from '../base/rotation-error.ts'
import { abortAfter, SECOND_MS } from '../base/time.ts'
import { type AlertEvent, defineNotifier, type Language } from '../contracts.ts'
import { plainText, wordingOf } from './shared/wording.ts'

const address = () =>
  v.pipe(
    v.string('must be an e-mail address'),
    v.regex(/^[^\s@<>"]+@[^\s@<>"]+$/, 'must be an e-mail address'),
  )

const SECURITY = ['starttls', 'tls', 'none'] as const

const entries = v.strictObject({
  /** The mail server. @example "mail.example.com" */
  host: v.pipe(v.string('must be a host'), v.regex(/^[\w.:-]+$/, 'must be a host')),
  /** Default: 587, with `tls` 465. */
  port: v.optional(v.nullable(portField()), null),
  /** `starttls` insists on it; `tls` from the first byte; `none` is for this machine only. */
  security: v.optional(
    v.picklist(SECURITY, `must be one of ${SECURITY.map(it => JSON.stringify(it)).join(', ')}`),
    'starttls',
  ),
  /** Left out: without a login. @example "alerts" */
  username: v.optional(v.nullable(v.pipe(v.string(), v.minLength(1))), null),
  /** With `username`. @example "env:SMTP_PASSWORD" */
  password: v.optional(v.nullable(secretField()), null),
  /** The sender. @example "iotda-cert@example.com" */
  from: address(),
  /** The receivers. @example ["ops@example.com"] */
  to: v.pipe(v.array(address(), 'must be a list of addresses'), v.minLength(1, 'must have an address')),
  /** Roots for the service's HTTPS instead of Node's. */
  caCertificates: v.optional(v.nullable(pemField()), null),
})
type Settings = v.InferOutput<typeof entries>

const IN_ALL_MS = 15 * SECOND_MS

/** Mails about one state are one thread. */
const threadOf = ({ dedupKey }: AlertEvent): string =>
  `<${createHash('sha256').update(dedupKey).digest('hex').slice(0, 32)}@iotda-cert>`

function mailOf(alert: AlertEvent, { from, to }: Settings, language: Language) {
  const wording = wordingOf(alert, language)
  const isUrgent = alert.severity === 'critical' && !alert.ends
  return {
    from,
    to: [...to],
    subject: wording.title,
    text: plainText(wording),
    ...(alert.kind === 'moment' ? {} : { inReplyTo: threadOf(alert), references: threadOf(alert) }),
    ...(isUrgent ? { priority: 'high' as const } : {}),
    headers: { 'Auto-Submitted': 'auto-generated', 'X-Iotda-Cert-Event': alert.event },
    attachments: [
      { filename: 'alert.json', content: JSON.stringify(alert, null, 2), contentType: 'application/json' },
    ],
  }
}

/** 4xx passes, 5xx does not (RFC 5321 section 4.2.1); without an answer it may be tried again. */
const failed = (thrown: unknown, driver: string): RotationError => {
  const { responseCode, code } = thrown as { responseCode?: number; code?: string }
  const isFinal = responseCode !== undefined && responseCode >= 500
  // Not its message: a server may repeat what it was sent.
  const said = responseCode === undefined ? `no answer (${code ?? 'unknown'})` : `answered ${responseCode}`
  return new RotationError(isFinal ? 'service-refused' : 'unavailable', `${driver}: ${said}`, {
    retry: isFinal ? 'never' : 'later',
    hint: 'Check host, port, security, username and password of the notifier.',
  })
}

/** E-mail by any server; nodemailer, an optional package, is loaded when the first mail is sent. */
export default defineNotifier({
  settings: v.pipe(
    entries,
    v.forward(
      v.check(
        ({ security, host }) => security !== 'none' || isLoopbackUrl(`smtp://${host}`),
        'must be "starttls" or "tls": "none" is for this machine only',
      ),
      ['security'],
    ),
    v.forward(
      v.check(
        ({ username, password }) => (username === null) === (password === null),
        'must stand with username',
      ),
      ['password'],
    ),
  ),
  create: (settings, { name, language }) => {
    const driver = `${name} (smtp)`
    return {
      notify: async (alert, run) => {
        const transport = await transportOf(settings, driver)
        // A server may say a little every now and then, for ever.
        const { signal, clear } = abortAfter(IN_ALL_MS, run.signal)
        try {
          signal.throwIfAborted()
          await Promise.race([transport.sendMail(mailOf(alert, settings, language)), aborted(signal)])
        } catch (thrown) {
          throw failed(thrown, driver)
        } finally {
          clear()
          transport.close()
        }
      },
    }
  },
  docs: {
    link: 'https://www.rfc-editor.org/rfc/rfc5321',
    says: '`host`, `from`, `to`, `username`, `password`; `security`: `starttls` (default), `tls`',
  },
})

const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))

async function transportOf(settings: Settings, driver: string) {
  const { host, port, security, username, password, caCertificates } = settings
  const mailer = await import('nodemailer').catch(() => {
    throw new RotationError('settings-invalid', `${driver}: the package nodemailer is not there`, {
      retry: 'never',
      hint: 'Install it (npm install nodemailer), or use another notifier.',
    })
  })
  return mailer.createTransport({
    host,
    port: port ?? (security === 'tls' ? 465 : 587),
    secure: security === 'tls',
    requireTLS: security === 'starttls',
    ignoreTLS: security === 'none',
    tls: { rejectUnauthorized: true, ...(caCertificates === null ? {} : { ca: caCertificates }) },
    ...(username !== null && password !== null ? { auth: { user: username, pass: password.reveal() } } : {}),
    connectionTimeout: 5 * SECOND_MS,
    greetingTimeout: 5 * SECOND_MS,
    socketTimeout: 10 * SECOND_MS,
    dnsTimeout: 5 * SECOND_MS,
  })
}
