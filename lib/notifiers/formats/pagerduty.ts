import type { AlertEvent, Language } from '../../contracts.ts'
import { wordingOf } from '../shared/wording.ts'

// https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
const SUMMARY_AT_MOST = 1_024
const KEY_AT_MOST = 255

/** An event of the Events API v2: a state triggers an incident, its end resolves that same one. */
export function pagerduty(alert: AlertEvent, language: Language, routingKey: string): object {
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
