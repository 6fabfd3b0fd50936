/** A service that says no: what it says, never what it was told in confidence. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as v from 'valibot'
import { expect, test } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import webhook from '../../lib/notifiers/webhook.ts'
import { alertOf } from '../alerts/alert-of.ts'
import { notifierContext, runOf } from '../contract/notifier.ts'
import { cleanups } from '../support/cleanups.ts'

const KEY = '0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9'
const TOKEN = 'pass+word/0123456789=='
const SIGNING = 'SECshort'

/** Answers every message so; returns the error. */
async function refusedWith(format: string, answerOf: (url: string) => object): Promise<Error> {
  const server = createServer((request, response) => {
    request.resume()
    response.end(JSON.stringify(answerOf(`${request.headers.host}${request.url}`)))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => new Promise<void>(resolve => server.close(() => resolve())))
  const context = notifierContext()
  const settings = v.parse(webhook.settings, { url: 'env:URL', format, secret: 'env:SECRET' })
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}/open-apis/bot/v2/hook/${KEY}?access_token=${encodeURIComponent(TOKEN)}`
  const notifier = webhook.create({ ...settings, url: secret(url), secret: secret(SIGNING) }, context)
  return notifier.notify(alertOf(), runOf(context)).then(
    () => Promise.reject(new Error('it was taken')),
    (error: Error) => error,
  )
}

test.each([
  ['feishu', 'code', 'msg'],
  ['dingtalk', 'errcode', 'errmsg'],
  ['wecom', 'errcode', 'errmsg'],
])('%s: what it says is told, the address and the secret are not', async (format, code, text) => {
  const error = await refusedWith(format, url => ({
    [code]: 19001,
    [text]: `no robot: ${url} ${TOKEN} signed by ${SIGNING} ${'x'.repeat(1_000)}`,
  }))
  expect(error).toMatchObject({ code: 'service-refused', retry: 'never' })
  expect(error.message).toMatch(/^notifiers\.ops \(webhook\): answered 19001 no robot: /)
  expect(error.message.length).toBeLessThan(200)
  for (const known of [KEY, TOKEN, encodeURIComponent(TOKEN), SIGNING, KEY.slice(0, 20)])
    expect(error.message).not.toContain(known)
})
