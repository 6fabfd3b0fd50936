/** A certificate that was bought elsewhere, by the built command: chain and key stand in files and variables. */
import { createPrivateKey } from 'node:crypto'
import { chmod, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import {
  type Authority,
  createIntermediate,
  createRoot,
  type Issued,
  issueLeaf,
} from '../../sandbox/kit/pki.ts'
import type { SandboxSettings } from '../../sandbox/sandbox.ts'
import { cleanups } from '../support/cleanups.ts'
import { cli } from '../support/command.ts'
import { put } from '../support/put.ts'
import { createRig, type Rig } from '../support/rig.ts'
import { DAY_MS } from '../support/scenario.ts'
import { boundPrint, printOf } from './acm.ts'
import { expectRefusal } from './bad-input.ts'

const PASSWORD = 'the shop sent: p"ss#1'

let rig: Rig
let root: Authority
let shop: Authority
let before: string

const day = (days: number): Date => new Date(Date.now() + days * DAY_MS)
const buy = (fromDays: number, toDays: number, names = [rig.sandbox.domain]): Promise<Issued> =>
  issueLeaf({ names, issuer: shop, keyType: 'rsa-2048', notBefore: day(fromDays), notAfter: day(toDays) })
const sealed = ({ keyPem }: Issued): string =>
  createPrivateKey(keyPem)
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: PASSWORD })
    .toString()
const path = (name: string): string => join(rig.folder, name)
/** Puts a certificate with its encrypted key to where the settings point. */
const deliver = async (bought: Issued, key = sealed(bought)): Promise<void> => {
  await writeFile(path('chain.pem'), bought.chainPem)
  await writeFile(path('key.pem'), key)
}

const configure = (change: (settings: SandboxSettings) => void = () => {}): Promise<void> =>
  rig.configure(settings => {
    settings.sources.bought = {
      ...{ type: 'file', certificate: 'file:chain.pem', privateKey: 'file:key.pem' },
      password: 'env:SHOP_PASSWORD',
    }
    settings.certificates.iot.source = 'bought'
    settings.targets[0].trustedRoots += root.certPem
    change(settings)
  })
const env = (): Record<string, string> => ({
  IOTDA_CERT_CONFIG: rig.settingsFile,
  SHOP_PASSWORD: PASSWORD,
})

/** Bound: one of the shop that ends in `daysLeft` days. */
async function bind(daysLeft: number): Promise<Issued> {
  const bought = await buy(daysLeft - 90, daysLeft)
  before = rig.sandbox.iotda.upload(bought.chainPem, bought.keyPem)
  rig.sandbox.iotda.createConfiguration(rig.sandbox.domain, before)
  return bought
}

beforeEach(async () => {
  rig = await createRig()
  cleanups.push(rig.dispose)
  root = await createRoot({ keyType: 'rsa-2048', notBefore: day(-1_000), notAfter: day(1_000) })
  shop = await createIntermediate({
    issuer: root,
    keyType: 'rsa-2048',
    notBefore: day(-900),
    notAfter: day(900),
  })
  await configure()
})

const rotate = async (exit = 0) => {
  const { code, stdout, stderr } = await cli(rig, ['rotate', '--json'], env())
  expect(code, stdout + stderr).toBe(exit)
  const answer = JSON.parse(stdout)
  return answer.results[0] ?? answer
}

test.each(['pkcs8', 'encrypted-pkcs8'])(
  'deployed, idle, and again when another one is there; sent as %s',
  async keyEncoding => {
    await configure(settings => Object.assign(settings.targets[0], { keyEncoding }))
    const { iotda, faults } = rig.sandbox
    await bind(60)
    for (const bought of [await buy(-1, 89), await buy(0, 365)]) {
      await deliver(bought)
      expect(await rotate()).toMatchObject({ outcome: 'rotated', decision: { reason: 'source-renewed' } })
      expect(boundPrint(iotda)).toBe(printOf(bought.certPem))
      expect(await rotate()).toMatchObject({ outcome: 'idle', warnings: [], error: null })
      // No rollback copy goes within the hour.
      for (const { id } of iotda.certificates())
        if (id !== iotda.configurations()[0]?.server_certificate_id) iotda.deleteCertificate(id)
    }
    const keys = faults.calls
      .filter(it => it.operation === 'iotda.CreateServerCertificate')
      .map(it => JSON.parse(it.body) as { private_key: string; private_key_password?: string })
    expect(keys).toHaveLength(2)
    for (const { private_key, private_key_password } of keys) {
      const isSealed = keyEncoding === 'encrypted-pkcs8'
      expect(private_key.startsWith('-----BEGIN ENCRYPTED PRIVATE KEY-----')).toBe(isSealed)
      expect(/^[A-Za-z]{32,64}$/.test(private_key_password ?? '')).toBe(isSealed)
    }
  },
  60_000,
)

test('one that is older than what is bound is left alone', async () => {
  await bind(80)
  await deliver(await buy(-40, 50))
  expect(await rotate()).toMatchObject({ outcome: 'idle', decision: { reason: 'fresh' } })
})

test('near the end with nothing newer: a failure that says so, and so does the plan', async () => {
  await deliver(await bind(10))
  const plan = await cli(rig, ['plan', '--json'], env())
  expect(JSON.parse(plan.stdout).results[0]).toMatchObject({
    decision: { reason: 'expiring' },
    warnings: expect.arrayContaining([
      { code: 'source', message: 'sources.bought: it holds nothing newer than what is bound' },
    ]),
  })
  expect(await rotate(1)).toMatchObject({
    outcome: 'failed',
    decision: { reason: 'expiring' },
    error: {
      code: 'not-renewed',
      message: expect.stringContaining('source bought (file): it holds nothing newer than what is bound'),
      hint: expect.stringContaining('sources.bought'),
    },
  })
  expect(rig.sandbox.iotda.certificates()).toHaveLength(1)
})

test('doctor says what is there, and what is wrong with it', async () => {
  await bind(60)
  const bought = await buy(0, 90)
  const found = async () => {
    const { stdout } = await cli(rig, ['doctor', '--json'], env())
    const findings = JSON.parse(stdout).findings as { check: string; subject: string | null }[]
    return findings.find(it => it.check === 'certificate' && it.subject === 'bought')
  }
  await deliver(bought)
  expect(await found()).toMatchObject({ verdict: 'ok', message: expect.stringContaining('valid until 20') })
  await deliver(bought, sealed(await buy(0, 90)))
  expect(await found()).toMatchObject({
    verdict: 'fail',
    message: expect.stringContaining('the private key does not belong to any of the 2 certificates'),
  })
  await deliver(await buy(-90, -1))
  expect(await found()).toMatchObject({ verdict: 'fail', remedy: expect.stringContaining('expired') })
})

describe('bad input is refused by one clear message, and changes nothing', () => {
  const invalid = (...says: readonly string[]) =>
    expectRefusal(rig, { env: env(), code: 'certificate-invalid', says: ['source bought (file)', ...says] })

  test('the key of another', async () => {
    await bind(60)
    await deliver(await buy(0, 90), sealed(await buy(0, 90)))
    await invalid('the private key does not belong to any of the 2 certificates')
  })

  test('the wrong password, and none', async () => {
    await bind(60)
    await deliver(await buy(0, 90))
    await expectRefusal(rig, {
      env: { ...env(), SHOP_PASSWORD: 'another' },
      code: 'certificate-invalid',
      says: ['source bought (file)', 'the password does not open the private key'],
    })
    await configure(put({ 'sources.bought.password': null }))
    await invalid('the private key is encrypted, and there is no password')
  })

  test('garbage for a certificate, and for a key', async () => {
    await bind(60)
    const bought = await buy(0, 90)
    await deliver({ ...bought, chainPem: 'garbage' })
    await invalid('no certificate', 'leaf certificate first')
    await deliver(bought, 'garbage')
    await invalid('there is no private key in it')
  })

  test('a gap in the chain', async () => {
    await bind(60)
    const bought = await buy(0, 90)
    const stranger = await createIntermediate({ issuer: root, commonName: 'Stranger' })
    await deliver({ ...bought, chainPem: bought.certPem + stranger.certPem })
    await invalid('CN=Stranger is no part of the chain')
  })

  test('an expired one, where nothing is bound yet', async () => {
    await configure(settings => Object.assign(settings.targets[0], { domainConfiguration: 'create' }))
    await deliver(await buy(-90, -1))
    await expectRefusal(rig, { env: env(), code: 'certificate-invalid', says: ['it expired at 20'] })
  })

  test('another name', async () => {
    await bind(60)
    await deliver(await buy(0, 90, ['other.example.com']))
    await expectRefusal(rig, {
      env: env(),
      code: 'certificate-invalid',
      says: ['source bought', '(other.example.com) do not cover', rig.sandbox.domain],
    })
  })

  test('files that are not there, are empty, or are no files', async () => {
    await bind(60)
    const refused = (...says: readonly string[]) =>
      expectRefusal(rig, { env: env(), code: 'settings-invalid', says })
    await refused(
      'sources.bought.certificate: file chain.pem cannot be read (ENOENT)',
      'sources.bought.privateKey: file key.pem cannot be read (ENOENT)',
    )
    await deliver(await buy(0, 90), ' \n')
    await refused('sources.bought.privateKey: file key.pem is empty')
    await rm(path('key.pem'))
    await configure(put({ 'sources.bought.privateKey': 'file:.' }))
    await refused('sources.bought.privateKey: file . cannot be read (EISDIR)')
    await chmod(path('chain.pem'), 0o600)
    await configure(put({ 'sources.bought.privateKey': 'env:NO_SUCH_KEY' }))
    await refused('environment variable NO_SUCH_KEY is not set')
  })
})
