import type { Log } from '../base/log.ts'
import { SECOND_MS } from '../base/time.ts'
import type { Alerting } from '../config/load.ts'
import { type Http, HttpFailure } from '../http/http.ts'

/** A dead man's switch: whoever hears nothing, or hears of a start without an end, raises the alarm. */
export interface Heartbeat {
  /** Told beside the run, which does not wait for it. */
  start(): void
  /** Never throws. */
  end(ok: boolean, text: string): Promise<void>
}

/** What a ping needs. */
export interface HeartbeatContext {
  readonly http: (caCertificates: string | null) => Http
  readonly runId: string
  readonly log: Log
}

const TIMEOUT_MS = 5 * SECOND_MS
const silent: Heartbeat = { start: () => {}, end: async () => {} }

/** The three forms of a ping, with the run's id; null: nobody listens. https://healthchecks.io/docs/http_api/ */
export function createHeartbeat(
  heartbeat: Alerting['heartbeat'],
  { http, runId, log }: HeartbeatContext,
): Heartbeat {
  if (!heartbeat) return silent
  let started: Promise<void> = Promise.resolve()
  const ping = async (form: '' | '/start' | '/fail', body: string): Promise<void> => {
    try {
      const url = new URL(heartbeat.url.reveal())
      url.pathname = `${url.pathname.replace(/\/+$/, '')}${form}`
      url.searchParams.set('rid', runId)
      const client = http(heartbeat.caCertificates)
      const { status } = await client.request({
        method: 'POST',
        url: url.href,
        headers: { 'content-type': 'text/plain; charset=utf-8' },
        body,
        timeoutMs: TIMEOUT_MS,
      })
      if (status >= 300) log.warn({ status }, 'the heartbeat was not taken')
    } catch (error) {
      const why = error instanceof HttpFailure ? error.reason : 'its url is none'
      log.warn({ error: why }, 'the heartbeat was not heard')
    }
  }
  return {
    start: () => {
      started = ping('/start', '')
    },
    end: async (ok, text) => {
      // In order: a start that comes after the end would begin a run that never ends.
      await started
      await ping(ok ? '' : '/fail', text)
    },
  }
}
