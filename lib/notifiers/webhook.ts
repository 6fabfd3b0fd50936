import * as v from 'valibot'
import { RotationError } from '../base/errors.ts'
import { isLoopbackUrl, pemField, secretField } from '../base/fields.ts'
import { HttpFailure } from '../base/http.ts'
import { SECOND_MS } from '../base/time.ts'
import { defineNotifier } from '../contracts.ts'

/** Posts each alert as JSON (contracts.ts, AlertEvent). The URL counts as a secret: it often is one. */
export default defineNotifier({
  settings: v.strictObject({
    url: secretField(),
    format: v.optional(v.picklist(['json'], 'must be "json"'), 'json'),
    caCertificates: v.optional(v.nullable(pemField()), null),
  }),
  create: (settings, { name, http }) => {
    const client = http(settings.caCertificates)
    const failed = (why: string, cause?: unknown): RotationError =>
      new RotationError('unavailable', `notifier ${name} (webhook): ${why}`, {
        cause,
        hint: 'Check the URL behind notifiers[].url.',
      })
    return {
      notify: async (event, run) => {
        const url = settings.url.reveal()
        if (!URL.canParse(url) || !(url.startsWith('https://') || isLoopbackUrl(url)))
          throw failed('its url is no https URL')
        const request = {
          method: 'POST',
          url,
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(event),
        } as const
        const { status } = await client
          .request({ ...request, timeoutMs: 10 * SECOND_MS, signal: run.signal })
          .catch(thrown => {
            throw failed(thrown instanceof HttpFailure ? `no answer (${thrown.reason})` : 'no answer', thrown)
          })
        if (status >= 300) throw failed(`answered ${status}`)
      },
    }
  },
})
