import * as v from 'valibot'
import { isLoopbackUrl, pemField, secretField } from '../base/fields.ts'
import { RotationError } from '../base/rotation-error.ts'
import type { Secret } from '../base/secret.ts'
import { defineNotifier } from '../contracts.ts'
import { postJson } from '../http/post.ts'
import { dingtalk } from './formats/dingtalk.ts'
import { feishu } from './formats/feishu.ts'
import type { Format } from './formats/format.ts'
import { json } from './formats/json.ts'
import { msteams } from './formats/msteams.ts'
import { slack } from './formats/slack.ts'
import { wecom } from './formats/wecom.ts'

/** Every format by its name in the settings. */
const FORMATS = { json, slack, msteams, feishu, dingtalk, wecom } as const
const NAMES = Object.keys(FORMATS) as readonly (keyof typeof FORMATS)[]
const HINT = 'Check the URL behind notifiers[].url, and notifiers[].format and secret.'

/** Posts each alert in the format of a service. The URL counts as a secret: it often is one. */
export default defineNotifier({
  settings: v.strictObject({
    /** Where messages are posted to: https, and a secret. @example "env:ALERT_URL" */
    url: secretField(),
    /** What is posted; `msteams` is for a workflow. */
    format: v.optional(
      v.picklist(NAMES, `must be one of ${NAMES.map(name => JSON.stringify(name)).join(', ')}`),
      'json',
    ),
    /** What json, feishu and dingtalk sign with. */
    secret: v.optional(v.nullable(secretField()), null),
    /** Roots for the service's HTTPS instead of Node's. */
    caCertificates: v.optional(v.nullable(pemField()), null),
  }),
  create: ({ url: address, format, secret, caCertificates }, { name, http, language }) => {
    const driver = `${name} (webhook)`
    const { requestFor, rejectionIn }: Format = FORMATS[format]
    const failure = (code: 'settings-invalid' | 'service-refused', why: string, retry: 'later' | 'never') =>
      new RotationError(code, `${driver}: ${why}`, { retry, hint: HINT })
    return {
      notify: async (alert, { signal, clock }) => {
        const text = address.reveal()
        if (!URL.canParse(text) || !(text.startsWith('https://') || isLoopbackUrl(text)))
          throw failure('settings-invalid', 'its url is no https URL', 'never')
        const now = clock.now()
        const { headers, query = {}, body } = requestFor(alert, { secret, now, language })
        const url = new URL(text)
        for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value)
        const answer = await postJson({
          http: http(caCertificates),
          url: url.href,
          headers: headers ?? {},
          body: JSON.stringify(body),
          signal,
          now,
          driver,
          hint: HINT,
        })
        const rejection = rejectionIn?.(answer)
        if (rejection) throw failure('service-refused', masked(rejection.why, url, secret), rejection.retry)
      },
    }
  },
  docs: {
    link: 'https://www.rfc-editor.org/rfc/rfc9110#name-post',
    says: `\`url\`; \`format\`: ${NAMES.map(name => `\`${name}\``).join(', ')} (default: \`json\`; \`msteams\`: a workflow); \`secret\`: what json, feishu and dingtalk sign with`,
  },
})

/** Shorter parts of a URL are words of the service. */
const SECRET_AT_LEAST = 16
const SAID_AT_MOST = 120

/** What a service says of a message may repeat where it was sent to, and with what. */
function masked(why: string, url: URL, secret: Secret | null): string {
  const parts = [...url.pathname.split('/'), ...url.search.split(/[?&=]/), ...url.searchParams.values()]
  const secrets = parts.filter(part => part.length >= SECRET_AT_LEAST)
  return [...secrets, ...(secret === null ? [] : [secret.reveal()])]
    .reduce((text, it) => text.replaceAll(it, '[secret]'), why)
    .slice(0, SAID_AT_MOST)
}
