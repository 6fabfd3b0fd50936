import * as v from 'valibot'
import { pemField, secretField, urlField } from '../base/fields.ts'
import { defineNotifier } from '../contracts.ts'
import { postJson } from '../http/post.ts'
import { pagerduty } from './formats/pagerduty.ts'

/** PagerDuty's Events API v2. https://developer.pagerduty.com/docs/events-api-v2/overview/ */
export default defineNotifier({
  settings: v.strictObject({
    /** The integration key of the service, 32 characters. */
    routingKey: secretField(),
    /** Of another service region, e.g. `https://events.eu.pagerduty.com/v2/enqueue`. */
    endpoint: v.optional(urlField(), 'https://events.pagerduty.com/v2/enqueue'),
    caCertificates: v.optional(v.nullable(pemField()), null),
  }),
  create: ({ routingKey, endpoint, caCertificates }, { name, http, language }) => ({
    notify: async (alert, run) => {
      await postJson({
        ...{ http: http(caCertificates), url: endpoint, signal: run.signal, now: run.clock.now() },
        body: JSON.stringify(pagerduty(alert, language, routingKey.reveal())),
        driver: `${name} (pagerduty)`,
        hint: 'Check notifiers[].routingKey: it is the key of an Events API v2 integration.',
      })
    },
  }),
  docs: {
    link: 'https://developer.pagerduty.com/docs/events-api-v2/overview/',
    says: '`routingKey`; the end of a state resolves its incident',
  },
})
