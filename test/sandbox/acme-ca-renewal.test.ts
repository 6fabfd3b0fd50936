import { expect, test } from 'vitest'
import { type Client, chainOf, http, type Rig, registered, startRig, verdict } from './acme-ca-rig.ts'

const DAY_MS = 86_400_000

const renewalInfo = async (rig: Rig, certId: string) => {
  const reply = await http(`${rig.ca.url}/renewal-info/${certId}`)
  const { suggestedWindow } = reply.doc as { suggestedWindow?: { start: string; end: string } }
  return { ...reply, window: suggestedWindow }
}

test('renewal information has the window of Boulder', async () => {
  const rig = await startRig()
  const client = await registered(rig)
  await client.obtain(['a.example.test'])
  await client.obtain(['a.example.test'], { profile: 'shortlived' })
  const [classic, shortlived] = rig.ca.issued
  if (!classic || !shortlived) throw new Error('not issued')
  const info = await renewalInfo(rig, classic.certId)
  expect([info.status, info.headers['retry-after']]).toEqual([200, '21600'])
  const iso = (ms: number) => new Date(ms).toISOString().replace('.000Z', 'Z')
  // 90 days: a third before the end, 0.9 days to either side.
  const centre = classic.notAfter.getTime() - 30 * DAY_MS
  expect(info.window).toEqual({ start: iso(centre - 0.9 * DAY_MS), end: iso(centre + 0.9 * DAY_MS) })
  const half = shortlived.notAfter.getTime() - 80 * 3_600_000
  const quick = await renewalInfo(rig, shortlived.certId)
  expect(quick.window).toEqual({ start: iso(half - 1.6 * 3_600_000), end: iso(half + 1.6 * 3_600_000) })
  const certificate = Buffer.from(chainOf(classic.pem)[0]?.rawData ?? new ArrayBuffer(0)).toString(
    'base64url',
  )
  await client.post(`${rig.ca.url}/revoke-cert`, { certificate })
  expect((await renewalInfo(rig, classic.certId)).window).toEqual({
    start: '2027-01-01T11:00:00Z',
    end: '2027-01-01T11:30:00Z',
  })
  expect(verdict(await renewalInfo(rig, 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE'))).toEqual([404, 'malformed'])
  expect(verdict(await renewalInfo(rig, 'nonsense'))).toEqual([400, 'malformed'])
})

test('certificate identifiers keep the sign byte of the serial', async () => {
  const rig = await startRig()
  const dates = { notBefore: new Date(rig.clock.now), notAfter: new Date(rig.clock.now + DAY_MS) }
  const signed = () => rig.ca.issued.filter(c => Number.parseInt(c.serial.slice(0, 2), 16) >= 0x80)
  while (signed().length === 0 || signed().length === rig.ca.issued.length)
    await rig.ca.issue(['a.example.test'], { ...dates, keyType: 'ec-256' })
  for (const { certId, serial } of rig.ca.issued) {
    const [aki = '', integer = ''] = certId.split('.')
    expect(Buffer.from(aki, 'base64url')).toHaveLength(20)
    const hex = Buffer.from(integer, 'base64url').toString('hex').toUpperCase()
    expect(hex).toBe(Number.parseInt(serial.slice(0, 2), 16) >= 0x80 ? `00${serial}` : serial)
    expect((await renewalInfo(rig, certId)).status).toBe(200)
  }
})

test('renewal information can be overridden, broken and mended', async () => {
  const rig = await startRig()
  const client = await registered(rig)
  await client.obtain(['a.example.test'])
  const { certId = '', serial = '' } = rig.ca.issued[0] ?? {}
  const usual = await renewalInfo(rig, certId)
  const window = { start: '2027-01-02T00:00:00Z', end: '2027-01-03T00:00:00Z' }
  const explanationURL = 'https://sandbox-ca.test/incident'
  rig.ca.setRenewalInfo(serial, { ...window, explanationURL, retryAfterSeconds: 60 })
  const changed = await renewalInfo(rig, certId)
  expect(changed.doc).toEqual({ suggestedWindow: window, explanationURL })
  expect(changed.headers['retry-after']).toBe('60')
  rig.ca.setRenewalInfo(certId, 'error')
  expect(verdict(await renewalInfo(rig, certId))).toEqual([500, 'serverInternal'])
  rig.ca.setRenewalInfo(certId, '{"suggestedWindow":')
  const broken = await renewalInfo(rig, certId)
  expect([broken.status, broken.text]).toEqual([200, '{"suggestedWindow":'])
  rig.ca.setRenewalInfo(serial, null)
  expect((await renewalInfo(rig, certId)).doc).toEqual(usual.doc)
})

test('replaces is echoed, and refused when it does not fit', async () => {
  const rig = await startRig()
  const client: Client = await registered(rig)
  const other = await registered(rig)
  await client.obtain(['a.example.test'])
  const replaces = rig.ca.issued[0]?.certId ?? ''
  const unknown = { replaces: 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE' }
  expect(verdict(await client.newOrder(['a.example.test'], unknown))).toEqual([404, 'malformed'])
  expect(verdict(await client.newOrder(['a.example.test'], { replaces: 1 }))).toEqual([400, 'malformed'])
  expect(verdict(await client.newOrder(['b.example.test'], { replaces }))).toEqual([400, 'malformed'])
  expect(verdict(await other.newOrder(['a.example.test'], { replaces }))).toEqual([403, 'unauthorized'])

  const names = ['a.example.test', 'b.example.test']
  const abandoned = await client.newOrder(names, { replaces })
  expect(abandoned.doc).toMatchObject({ status: 'pending', replaces })
  const conflict = await client.newOrder(names, { replaces })
  expect(verdict(conflict)).toEqual([409, 'alreadyReplaced'])
  const without = await client.newOrder(names)
  expect(without.headers.location).toBe(abandoned.headers.location)
  const pending = rig.ca.orders.at(-1)?.authorizations.find(a => a.status === 'pending')
  await client.post(pending?.url ?? '', { status: 'deactivated' })
  await client.obtain(names, { replaces })
  expect(rig.ca.issued.at(-1)).toMatchObject({ replaces, names })
  expect(verdict(await client.newOrder(names, { replaces }))).toEqual([409, 'alreadyReplaced'])
})
