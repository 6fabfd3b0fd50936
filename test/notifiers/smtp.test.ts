/** A mail server that is never done. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import * as v from 'valibot'
import { expect, test, vi } from 'vitest'
import smtp from '../../lib/notifiers/smtp.ts'
import { alertOf } from '../alerts/alert-of.ts'
import { notifierContext, runOf } from '../contract/notifier.ts'
import { cleanups } from '../support/cleanups.ts'

test('one that lists what it can for ever is let go of, long before the run has no time left', async () => {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.write('220 here\r\n')
    const timer = setInterval(() => socket.write('250-wait a little more\r\n'), 50)
    socket.on('error', () => {}).on('close', () => clearInterval(timer))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(async () => {
    vi.useRealTimers()
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const context = notifierContext()
  const { port } = server.address() as AddressInfo
  const settings = { host: '127.0.0.1', port, security: 'none', from: 'a@example.com', to: ['b@example.com'] }
  const notifier = smtp.create(v.parse(smtp.settings, settings), context)
  // The server goes on in real time; only whoever waits for it has a clock that is moved.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  let ended: unknown = null
  void notifier.notify(alertOf(), runOf(context)).catch(error => {
    ended = error
  })
  const [socket] = (await once(server, 'connection')) as [Socket]
  await once(socket, 'data')
  await vi.advanceTimersByTimeAsync(14_000)
  expect(ended).toBeNull()
  await vi.advanceTimersByTimeAsync(1_500)
  expect(ended).toMatchObject({ code: 'unavailable', retry: 'later' })
})
