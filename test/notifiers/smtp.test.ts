/** A mail server that is never done. */

import type { AddressInfo } from 'node:net'
import { createServer, type Socket } from 'node:net'
import * as v from 'valibot'
import { expect, test } from 'vitest'
import { silentLog } from '../../lib/base/log.ts'
import type { AlertEvent } from '../../lib/contracts.ts'
import { createHttp } from '../../lib/http/client.ts'
import smtp from '../../lib/notifiers/smtp.ts'
import { everyAlert } from '../contract/notifier.ts'
import { cleanups } from '../support/cleanups.ts'
import { fakeClock } from '../support/clock.ts'

test('one that lists what it can for ever is let go of, long before the run has no time left', async () => {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.write('220 here\r\n')
    const timer = setInterval(() => socket.write('250-wait a little more\r\n'), 500)
    socket.on('error', () => {}).on('close', () => clearInterval(timer))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const http = createHttp()
  cleanups.push(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise<void>(resolve => server.close(() => resolve()))
    await http.close()
  })
  const clock = fakeClock()
  const notifier = smtp.create(
    v.parse(smtp.settings, {
      ...{ host: '127.0.0.1', port, security: 'none' },
      ...{ from: 'iotda-cert@example.com', to: ['ops@example.com'] },
    }),
    {
      ...{ name: 'notifiers.ops', http: () => http, clock, log: silentLog, language: 'en' },
      huaweiKeys: () => Promise.reject(new Error('none are needed')),
    },
  )
  const { signal } = new AbortController()
  const run = { runId: '1', clock, log: silentLog, deadline: clock.now() + 1_800_000, signal }
  const [alert] = everyAlert(clock.now()) as [AlertEvent]
  await expect(notifier.notify(alert, run)).rejects.toMatchObject({ code: 'unavailable', retry: 'later' })
}, 40_000)
