/** Devices that pin the key: each knows the present one and the one that is announced, and is never cut off. */
import { createHash, X509Certificate } from 'node:crypto'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { expect, test } from 'vitest'
import { pageOf } from '../../lib/present/page/page.ts'
import { resultText } from '../../lib/present/text.ts'
import type { TargetResult } from '../../lib/report/result.ts'
import { put } from '../support/put.ts'
import { DAY_MS, openScenario, type Scenario } from '../support/scenario.ts'

const NEXT = { change: put({ 'certificates.iot.reuseKey': { next: '30d' } }) }

/** What a client that pins keys sees: the hash of the served one. */
const servedPin = ({ device, domain }: Scenario): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({
      host: '127.0.0.1',
      port: device.port,
      servername: domain,
      rejectUnauthorized: false,
    })
    socket.once('error', reject)
    socket.once('secureConnect', () => {
      const { raw } = socket.getPeerCertificate()
      const key = new X509Certificate(raw).publicKey.export({ type: 'spki', format: 'der' })
      socket.destroy()
      resolve(createHash('sha256').update(key).digest('base64'))
    })
  })

const announced = ({ nextKey }: TargetResult): string => nextKey?.spki ?? 'none'

test('a client that pins the present and the announced key is served one of them, over three rotations', async () => {
  const s = await openScenario(NEXT)
  await s.bindOne(20)
  const first = await s.runTo({ outcome: 'rotated' })
  let pins = [await servedPin(s), announced(first)]
  for (let rotation = 1; rotation <= 3; rotation += 1) {
    const status = await s.run({ action: 'status' })
    expect(announced(status)).toBe(pins[1])
    expect(pins[1]).toMatch(/^[A-Za-z0-9+/]{43}=$/)
    expect(pins[1]).not.toBe(pins[0])
    const rotated = await s.later(65 * DAY_MS, {})
    expect(rotated).toMatchObject({ outcome: 'rotated', error: null })
    // Exactly the announced one.
    const served = await servedPin(s)
    expect(served).toBe(pins[1])
    pins = [served, announced(rotated)]
  }
  expect(await s.run()).toMatchObject({ outcome: 'idle' })
})

test('a renewal before its time keeps the present key, and the announced one stays announced', async () => {
  const s = await openScenario(NEXT)
  await s.bindOne(20)
  const first = await s.runTo({ outcome: 'rotated' })
  const present = await servedPin(s)
  const early = await s.later(5 * DAY_MS, { force: true })
  expect(early).toMatchObject({ outcome: 'rotated', error: null })
  expect(await servedPin(s)).toBe(present)
  expect(announced(early)).toBe(announced(first))
})

test('a present key that was compromised is not used again: the announced one is, also before its time', async () => {
  const s = await openScenario(NEXT)
  await s.bindOne(20)
  const first = await s.runTo({ outcome: 'rotated' })
  const present = await servedPin(s)
  const { fingerprint } = s.iotda.certificates().find(({ id }) => id === s.boundId()) ?? {}
  const revoke = { certificate: fingerprint ?? null, reason: 'keyCompromise' as const }
  await s.runTo({ outcome: 'revoked' }, { action: 'revoke', targets: ['factory-1'], revoke, force: true })
  const after = await s.later(DAY_MS, { force: true })
  expect(after).toMatchObject({ outcome: 'rotated', error: null })
  expect(await servedPin(s)).toBe(announced(first))
  expect([present, announced(first)]).not.toContain(announced(after))
})

test('a key that is lost after it was announced is never replaced silently', async () => {
  const s = await openScenario(NEXT)
  await s.bindOne(60)
  const first = await s.runTo({ outcome: 'idle' })
  const folder = join(s.rig.folder, 'state', 'certificates')
  const lost = (await readdir(folder, { recursive: true })).filter(it => it.includes('next-'))
  expect(lost).not.toEqual([])
  for (const file of lost) await rm(join(folder, file))
  const rotated = await s.later(45 * DAY_MS)
  expect(rotated).toMatchObject({ outcome: 'rotated', error: null })
  expect(await servedPin(s)).not.toBe(announced(first))
  expect(announced(rotated)).not.toBe(announced(first))
  expect(announced(rotated)).not.toBe(await servedPin(s))
})

test('without it no key is announced any more, and those of before are wiped', async () => {
  const s = await openScenario(NEXT)
  await s.bindOne(20)
  await s.runTo({ outcome: 'rotated' })
  await s.configure(put({ 'certificates.iot.reuseKey': false }))
  const rotated = await s.later(DAY_MS, { force: true })
  expect(rotated).toMatchObject({ outcome: 'rotated' })
  expect(rotated.nextKey).toBeUndefined()
  const left = await readdir(join(s.rig.folder, 'state', 'certificates'), { recursive: true })
  expect(left.filter(it => it.includes('next-'))).toEqual([])
})

test('status, page and text show the announced key', async () => {
  const s = await openScenario(NEXT)
  await s.bindOne(60)
  const { nextKey } = await s.runTo({ outcome: 'idle' })
  const status = await s.run({ action: 'status' })
  expect(status.nextKey).toEqual(nextKey)
  const finishedAt = new Date(s.clock.now()).toISOString()
  const answer = {
    version: 1,
    runId: 'r',
    trigger: 'manual',
    ok: true,
    startedAt: finishedAt,
    finishedAt,
    results: [status],
  } as const
  expect(resultText(answer, 'status')).toContain(
    `next key sha256/${nextKey?.spki} (ec-256), announced since 20`,
  )
  expect(pageOf(answer)).toContain(`sha256/${nextKey?.spki}`)
})
