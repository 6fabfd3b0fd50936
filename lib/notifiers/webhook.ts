import * as v from 'valibot'
import { isLoopbackUrl, pemField, secretField } from '../base/fields.ts'
import { RotationError } from '../base/rotation-error.ts'
import type { Secret } from '../base/secret.ts'
import { defineNotifier } from '../contracts.ts'
import { postJson } from '../http/post.ts'
import { dingtalk, dingtalkObjection } from './formats/dingtalk.ts'
import { feishu, feishuObjection } from './formats/feishu.ts'
import { json } from './formats/json.ts'
import { msteams } from './formats/msteams.ts'
import type { Format } from './formats/posted.ts'
import { slack, slackObjection } from './formats/slack.ts'
import { wecom, wecomObjection } from './formats/wecom.ts'

const FORMATS = {
  json: { post: json },
  slack: { post: slack, objection: slackObjection },
  msteams: { post: msteams },
  feishu: { post: feishu, objection: feishuObjection },
  dingtalk: { post: dingtalk, objection: dingtalkObjection },
  wecom: { post: wecom, objection: wecomObjection },
} as const satisfies Readonly<Record<string, Format>>
type FormatName = keyof typeof FORMATS

const NAMES = Object.keys(FORMATS) as readonly FormatName[]
const HINT = 'Check the URL behind notifiers[].url, and notifiers[].format and secret.'

/** Posts each alert in the format of a service. The URL counts as a secret: it often is one. */
export default defineNotifier({
  settings: v.strictObject({
    url: secretField(),
    format: v.optional(
      v.picklist(NAMES, `must be one of ${NAMES.map(name => JSON.stringify(name)).join(', ')}`),
      'json',
    ),
    /** What json, feishu and dingtalk sign with. */
    secret: v.optional(v.nullable(secretField()), null),
    caCertificates: v.optional(v.nullable(pemField()), null),
  }),
  create: ({ url: address, format, secret, caCertificates }, { name, http, language }) => {
    const driver = `${name} (webhook)`
    const { post, objection = () => null }: Format = FORMATS[format]
    return {
      notify: async (alert, run) => {
        const text = address.reveal()
        if (!URL.canParse(text) || !(text.startsWith('https://') || isLoopbackUrl(text)))
          throw new RotationError('settings-invalid', `${driver}: its url is no https URL`, {
            retry: 'never',
            hint: HINT,
          })
        const now = run.clock.now()
        const { headers, query, body } = post(alert, { secret, now, language })
        const url = new URL(text)
        for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value)
        const answer = await postJson({
          ...{ http: http(caCertificates), url: url.href, headers, body, signal: run.signal },
          ...{ now, driver, hint: HINT },
        })
        const against = objection(answer)
        if (against)
          throw new RotationError(
            'service-refused',
            `${driver}: ${withoutSecrets(against.why, url, secret)}`,
            {
              retry: against.retry,
              hint: HINT,
            },
          )
      },
    }
  },
  docs: {
    link: 'https://www.rfc-editor.org/rfc/rfc9110#name-post',
    says: '`url`; `format`: `json` (default), `slack`, `msteams` (a workflow), `feishu`, `dingtalk`, `wecom`; `secret`: what json, feishu and dingtalk sign with',
  },
})

/** Shorter parts of a URL are words of the service. */
const SECRET_AT_LEAST = 16
const SAID_AT_MOST = 120

/** What a service says of a message may repeat where it was sent to, and with what. */
function withoutSecrets(why: string, url: URL, secret: Secret | null): string {
  const parts = [...url.pathname.split('/'), ...url.search.split(/[?&=]/), ...url.searchParams.values()]
  const secrets = parts.filter(part => part.length >= SECRET_AT_LEAST)
  return [...secrets, ...(secret === null ? [] : [secret.reveal()])]
    .reduce((text, it) => text.replaceAll(it, '[secret]'), why)
    .slice(0, SAID_AT_MOST)
}
