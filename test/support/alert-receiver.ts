/** A receiver of alerts on loopback, as any webhook. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { AlertEvent } from '../../lib/contracts.ts'
import { cleanups } from './cleanups.ts'

export interface AlertReceiver {
  readonly url: string
  /** What arrived and was answered well, oldest first. */
  readonly alerts: AlertEvent[]
  /** Requests, whatever they were answered. */
  readonly requests: { readonly path: string; readonly body: string }[]
  /** What it answers; null: nothing, ever. */
  status: number | null
}

export async function receiveAlerts(): Promise<AlertReceiver> {
  const receiver = { url: '', alerts: [], requests: [], status: 200 } as AlertReceiver & { url: string }
  const server = createServer(async (request, response) => {
    const body = await text(request)
    receiver.requests.push({ path: request.url ?? '', body })
    if (receiver.status === null) return
    if (receiver.status < 300 && body.startsWith('{')) receiver.alerts.push(JSON.parse(body))
    response.writeHead(receiver.status).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  cleanups.push(async () => {
    server.closeAllConnections()
    server.close()
  })
  return receiver
}
