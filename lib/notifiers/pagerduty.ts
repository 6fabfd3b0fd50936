import * as v from 'valibot'
import { pemField, secretField, urlField } from '../base/fields.ts'
import { type AlertEvent, defineNotifier, type Language } from '../contracts.ts'
import { postJson } from '../http/post.ts'
import { wordingOf } from './shared/wording.ts'

// https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
const SUMMARY_AT_MOST = 1_024
const KEY_AT_MOST = 255

/** PagerDuty's Events API v2. https://developer.pagerduty.com/docs/events-api-v2/overview/ */
export default defineNotifier({
  settings: v.strictObject({
    /** The integration key of the service, 32 characters. */
    routingKey: secretField(),
    /** Of another service region, e.g. `https://events.eu.pagerduty.com/v2/enqueue`. */
    endpoint: v.optional(urlField(), 'https://events.pagerduty.com/v2/enqueue'),
    /** Roots for the service's HTTPS instead of Node's. */
    caCertificates: v.optional(v.nullable(pemField()), null),
  }),
  create: ({ routingKey, endpoint, caCertificates }, { name, http, language }) => ({
    notify: async (alert, { signal, clock }) => {
      await postJson({
        http: http(caCertificates),
        url: endpoint,
        signal,
        now: clock.now(),
        body: JSON.stringify(incidentEvent(alert, language, routingKey.reveal())),
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

/** A state triggers an incident, its end resolves that same one. */
function incidentEvent(alert: AlertEvent, language: Language, routingKey: string): object {
  const common = { routing_key: routingKey, dedup_key: alert.dedupKey.slice(0, KEY_AT_MOST) }
  if (alert.ends) return { ...common, event_action: 'resolve' }
  const { title, facts } = wordingOf(alert, language)
  return {
    ...common,
    event_action: 'trigger',
    client: 'iotda-cert',
    payload: {
      summary: title.slice(0, SUMMARY_AT_MOST),
      source: alert.domain ?? 'iotda-cert',
      severity: alert.severity,
      timestamp: alert.at,
      component: alert.target ?? 'iotda-cert',
      class: alert.event,
      custom_details: { ...Object.fromEntries(facts), alert },
    },
  }
}
