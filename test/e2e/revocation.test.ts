/** A chain that was revoked is not bound, and is told when it is served; a list that cannot be had stops nothing. */
import { KeyObject } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as x509 from '@peculiar/x509'
import { expect, test } from 'vitest'
import { watch } from '../../lib/app/watch.ts'
import { silentLog } from '../../lib/base/log.ts'
import { receiveAlerts } from '../support/alert-receiver.ts'
import { caExtensions, DAY_MS, type Issued, issue, leafExtensions } from '../support/issue.ts'
import { type ListOptions, revocationList, serveLists } from '../support/revocation-list.ts'
import { HOUR_MS, openScenario, warningsOf } from '../support/scenario.ts'

/** A shop whose intermediate and certificates name lists; what is bound ends in 20 days. */
const open = async () => {
  const s = await openScenario()
  await s.bindOne(20)
  const lists = await serveLists()
  const now = (): number => s.clock.now()
  const life = { notBefore: now() - 100 * DAY_MS, notAfter: now() + 900 * DAY_MS }
  const named = (name: string) => new x509.CRLDistributionPointsExtension([`${lists.url}/${name}.crl`])
  const root = await issue({ subject: 'CN=Shop Root', extensions: caExtensions(), ...life })
  const middle = await issue({
    ...{ subject: 'CN=Shop Issuer', issuer: root, ...life },
    extensions: [...caExtensions(0), named('root')],
  })
  const leaf = await issue({
    ...{ subject: `CN=${s.domain}`, issuer: middle },
    ...{ notBefore: now() - DAY_MS, notAfter: now() + 89 * DAY_MS },
    extensions: [...leafExtensions(s.domain), named('middle')],
  })
  const put = (name: string, issuer: Issued, revoked: ListOptions['revoked'] = []): void =>
    void lists.at.set(`/${name}.crl`, revocationList({ issuer, now: now(), revoked }))
  const key = KeyObject.from(leaf.keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString()
  await writeFile(join(s.rig.folder, 'chain.pem'), leaf.pem + middle.pem)
  await writeFile(join(s.rig.folder, 'key.pem'), key, { mode: 0o600 })
  await s.configure(settings => {
    settings.sources.bought = { type: 'file', certificate: 'file:chain.pem', privateKey: 'file:key.pem' }
    settings.certificates.iot.source = 'bought'
    settings.targets[0].trustedRoots += root.pem
  })
  put('root', root)
  put('middle', middle)
  const receiver = await receiveAlerts()
  const watchPort = () =>
    watch({
      config: JSON.stringify({
        version: 1,
        notifiers: [{ type: 'webhook', url: receiver.url }],
        targets: [
          {
            ...{ name: 'factory-1', host: s.domain, port: s.device.port, addresses: s.device.addresses },
            roots: root.pem + s.ca.rootPem,
          },
        ],
      }),
      ...{ clock: s.clock, log: silentLog, deadline: now() + 60_000 },
      surroundings: { env: {}, folder: s.rig.folder },
    })
  return { s, root, middle, leaf, put, lists, watchPort, receiver }
}
const serial = ({ certificate }: Issued): string => certificate.serialNumber

test('an intermediate that was revoked is not bound; once it is not, it is', async () => {
  const { s, root, middle, put } = await open()
  put('root', root, [[serial(middle), 2]])
  const refused = await s.run()
  expect(refused).toMatchObject({ outcome: 'refused', error: { code: 'preflight-refused' } })
  expect(refused.error?.message).toContain('the intermediate "CN=Shop Issuer"')
  expect(refused.error?.message).toContain('cACompromise')
  expect(s.changes()).toEqual([])
  put('root', root)
  expect(await s.later(25 * HOUR_MS)).toMatchObject({ outcome: 'rotated', error: null })
})

test('a leaf that was revoked is not bound, in the emergency either', async () => {
  const { s, middle, leaf, put } = await open()
  s.clock.advance(19 * DAY_MS)
  put('middle', middle, [[serial(leaf), 1]])
  const { outcome, error } = await s.run()
  expect([outcome, error?.code]).toEqual(['refused', 'preflight-refused'])
  expect(s.changes()).toEqual([])
})

test('lists that cannot be had stop nothing, and are a note', async () => {
  const { s, lists } = await open()
  lists.at.clear()
  const { outcome, steps, warnings } = await s.run()
  expect([outcome, warnings.filter(({ code }) => code === 'preflight')]).toEqual(['rotated', []])
  const line = steps.find(it => it.step === 'preflight')?.table?.find(it => it.check === 'revocation')
  expect(line).toMatchObject({ verdict: 'ok', new: expect.stringMatching(/^not known: .*HTTP 404/) })
  // Preflight and verify both ask.
  const said = s.rig.logged.filter(text => text.includes('was revoked is not known'))
  expect(said).toHaveLength(2)
  expect(new Set(said).size).toBe(2)
})

test('what is revoked between bind and verify is told, and so it is by the watchdog while it is served', async () => {
  const { s, root, middle, put, watchPort, receiver } = await open()
  await s.run({ until: 'bind' })
  expect((await watchPort()).results[0]).toMatchObject({ ok: true })
  put('root', root, [[serial(middle), 2]])
  await s.run({ action: 'resume' })
  const verified = await s.later(2 * HOUR_MS)
  expect(verified.steps.map(({ step }) => step)).toContain('verify')
  expect(warningsOf(verified)).toContain('revoked')
  const { results } = await watchPort()
  expect(results[0]?.problems).toEqual([
    { event: 'watch-revoked', reason: expect.stringContaining('the intermediate "CN=Shop Issuer"') },
  ])
  expect(receiver.alerts.map(({ event, severity }) => [event, severity])).toEqual([
    ['watch-revoked', 'critical'],
  ])
})
