/** Packages that only some drivers need: taken in when the settings or the build are told to, or there is a clear error. */
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { leftOut, missingFrom, type OptionalPackage, zipFor } from '../../deploy/optional-packages.mjs'
import { createMail } from '../../sandbox/alerts/mail.ts'
import { createRoot, issueLeaf } from '../../sandbox/kit/pki.ts'
import { boundPrint, heldPrint, openAcm } from '../e2e/acm.ts'
import { type Built, buildAndPackage, sharedBuild } from '../support/built.ts'
import { cleanups } from '../support/cleanups.ts'
import { openFunctionRig } from '../support/function-rig.ts'
import { startRuntime } from '../support/runtime.ts'

const ACM = '@aws-sdk/client-acm'
const ROUTE53 = '@aws-sdk/client-route-53'
const MAIL = 'nodemailer'
const WITH_ACM = { sources: { a: { type: 'acm' } } }
const WITH_ROUTE53 = { solvers: { a: { type: 'huaweicloud' }, b: { type: 'route53' } } }
const WITH_MAIL = { notifiers: [{ type: 'webhook' }, { type: 'smtp' }] }

let folder: string
/** Everything is in it; nothing is; what ACM and mail want is. */
let whole: Built
let left: Built
let wanted: Built
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'iotda-cert-packages-'))
  const file = await settingsFile({ ...WITH_ACM, ...WITH_MAIL })
  whole = await buildAndPackage({ BUNDLE_AWS_SDK: '1' })
  left = await sharedBuild()
  wanted = await buildAndPackage({ BUNDLE_AWS_SDK: '', IOTDA_CERT_SETTINGS: file })
}, 120_000)
afterAll(async () => {
  await whole.dispose()
  await wanted.dispose()
  await rm(folder, { recursive: true, force: true })
})

async function settingsFile(settings: unknown, name = 'settings'): Promise<string> {
  const file = join(folder, `${name}.json`)
  await writeFile(file, typeof settings === 'string' ? settings : JSON.stringify(settings))
  return file
}

/** An instance whose certificate comes from ACM, which holds a newer one than is bound. */
async function open() {
  const rig = await openFunctionRig(40)
  const { faults, domain } = rig.sandbox
  const own = await openAcm(faults, { names: [domain], keyType: 'ec-256' })
  return { rig, own, env: { IOTDA_CERT_CONFIG: rig.config(own.adjust) } }
}
const kinds = ['lambda', 'functiongraph'] as const

test('what a zip of FunctionGraph lacks stands beside it, for Terraform to compare with the settings', async () => {
  const lacks = async (built: Built, name: string): Promise<readonly string[]> => {
    const list = JSON.parse(await readFile(join(built.folder, `iotda-cert-${name}.lacks.json`), 'utf8'))
    return list.map((it: OptionalPackage) => `${it.section} ${it.type} ${it.name}`)
  }
  expect(await lacks(whole, 'functiongraph')).toEqual([])
  expect(await lacks(left, 'functiongraph')).toEqual([
    `sources acm ${ACM}`,
    `solvers route53 ${ROUTE53}`,
    `notifiers smtp ${MAIL}`,
  ])
  expect(await lacks(wanted, 'functiongraph')).toEqual([`solvers route53 ${ROUTE53}`])
  expect(await lacks(left, 'functiongraph-watch')).toContain(`notifiers smtp ${MAIL}`)
})

describe('a function, in an empty folder, whose certificate comes from ACM', () => {
  test.each([
    ['lambda', 'everything', () => whole],
    ['functiongraph', 'everything', () => whole],
    ['functiongraph', 'what the settings want', () => wanted],
  ] as const)(
    '%s with %s: rotates',
    async (kind, _, build) => {
      const { rig, own, env } = await open()
      const runtime = await startRuntime(kind, build().zip(kind), env)
      const { answer, stack } = await runtime.invoke({ event: {} })
      expect(answer?.results[0], `${stack}\n${runtime.log()}`).toMatchObject({ outcome: 'rotated' })
      expect(boundPrint(rig.sandbox.iotda)).toBe(heldPrint(own))
    },
    30_000,
  )

  test.each([
    ['lambda', 'nothing', () => left],
    ['functiongraph', 'nothing', () => left],
    // Lambda has it by itself.
    ['lambda', 'what the settings want', () => wanted],
  ] as const)(
    '%s with %s: says what is missing, and changes nothing',
    async (kind, _, build) => {
      const { rig, env } = await open()
      const runtime = await startRuntime(kind, build().zip(kind), env)
      const { ok, message } = await runtime.invoke({ event: {} })
      expect(ok).toBe(false)
      expect(message).toContain(`source aws (acm): the package ${ACM} cannot be loaded`)
      expect(rig.changes()).toEqual([])
    },
    30_000,
  )
})

describe.each(kinds)('%s, in an empty folder, that tells people by mail', kind => {
  /** A run that fails, and how many mails came of it. */
  async function failing(build: Built) {
    const rig = await openFunctionRig(60)
    const root = await createRoot()
    const leaf = await issueLeaf({ names: ['127.0.0.1'], issuer: root })
    const tls = { key: leaf.keyPem, cert: leaf.chainPem }
    const mail = await createMail({ username: 'ops', password: 'pass word', tls })
    cleanups.push(mail.dispose)
    rig.sandbox.faults.add({ operations: ['iotda.ListDomainConfigurations'], status: 403, times: 99 })
    const config = rig.config(settings =>
      Object.assign(settings, {
        notifiers: [
          {
            type: 'smtp',
            host: '127.0.0.1',
            port: Number(new URL(mail.url).port),
            caCertificates: root.certPem,
            username: 'ops',
            password: 'pass word',
            from: 'a@example.com',
            to: ['b@example.com'],
          },
        ],
      }),
    )
    const runtime = await startRuntime(kind, build.zip(kind), { IOTDA_CERT_CONFIG: config })
    await runtime.invoke({ event: {} })
    return { mails: mail.taken.length, log: runtime.log() }
  }

  test('with nodemailer, since the settings want it: does', async () => {
    expect((await failing(wanted)).mails).toBe(1)
  }, 30_000)

  test('without: says what is missing', async () => {
    const { mails, log } = await failing(left)
    expect(mails).toBe(0)
    expect(log).toContain('the package nodemailer is not there')
  }, 30_000)
})

describe('what is left out', () => {
  test.each([
    [{}, {}, [ACM, ROUTE53, MAIL], [ACM, ROUTE53, MAIL], [ACM, ROUTE53, MAIL]],
    [WITH_ACM, {}, [ACM, ROUTE53, MAIL], [ROUTE53, MAIL], [ACM, ROUTE53, MAIL]],
    [WITH_ROUTE53, {}, [ACM, ROUTE53, MAIL], [ACM, MAIL], [ACM, ROUTE53, MAIL]],
    [WITH_MAIL, {}, [ACM, ROUTE53], [ACM, ROUTE53], [ACM, ROUTE53, MAIL]],
    // Of Lambda the watchdog is in the same zip.
    [{}, WITH_MAIL, [ACM, ROUTE53], [ACM, ROUTE53, MAIL], [ACM, ROUTE53]],
    [
      { sources: [null, 1], solvers: 'route53' },
      {},
      [ACM, ROUTE53, MAIL],
      [ACM, ROUTE53, MAIL],
      [ACM, ROUTE53, MAIL],
    ],
  ])('of %j and %j', async (settings, watchSettings, lambda, functiongraph, watch) => {
    const env = {
      IOTDA_CERT_SETTINGS: await settingsFile(settings),
      IOTDA_CERT_WATCH_SETTINGS: await settingsFile(watchSettings, 'watch'),
    }
    expect(await leftOut(env)).toEqual({ lambda, functiongraph, watch })
    const untouched = functiongraph.includes(MAIL) ? [ACM, ROUTE53, MAIL] : [ACM, ROUTE53]
    expect((await leftOut({ ...env, BUNDLE_AWS_SDK: '0' })).functiongraph).toEqual(untouched)
    const none = { lambda: [], functiongraph: [], watch: [] }
    expect(await leftOut({ ...env, BUNDLE_AWS_SDK: '1' })).toEqual(none)
  })

  test('settings that cannot be read are said', async () => {
    const of = async (text: string) => leftOut({ IOTDA_CERT_SETTINGS: await settingsFile(text) })
    await expect(of('{')).rejects.toThrow('are no valid JSON')
    await expect(of('\ufeff{"sources":{"a":{"type":"acm"}}}')).resolves.toMatchObject({
      functiongraph: [ROUTE53, MAIL],
    })
    await expect(leftOut({ IOTDA_CERT_SETTINGS: join(folder, 'none.json') })).rejects.toThrow('ENOENT')
  })
})

test('a deployment knows what a zip has not, and takes the one with everything where that is there', async () => {
  const lacksOf = async ({ folder: of }: Built): Promise<readonly OptionalPackage[]> =>
    JSON.parse(await readFile(join(of, 'iotda-cert-lambda.lacks.json'), 'utf8'))
  const settings = { ...WITH_ACM, ...WITH_MAIL }
  expect(missingFrom(await lacksOf(left), settings)).toEqual([ACM, MAIL])
  expect(missingFrom(await lacksOf(left), settings, { onLambda: true })).toEqual([MAIL])
  expect(missingFrom(await lacksOf(wanted), settings, { onLambda: true })).toEqual([])
  expect(missingFrom(await lacksOf(whole), settings)).toEqual([])

  const out = await mkdtemp(join(folder, 'out-'))
  for (const name of kinds)
    await cp(join(left.folder, `iotda-cert-${name}.lacks.json`), join(out, `iotda-cert-${name}.lacks.json`))
  expect(await zipFor(out, 'functiongraph', [{}])).toEqual({
    ...{ zip: join(out, 'iotda-cert-functiongraph.zip'), missing: [] },
  })
  expect(await zipFor(out, 'functiongraph', [settings])).toEqual({ zip: null, missing: [ACM, MAIL] })
  await mkdir(join(out, 'whole'))
  for (const name of kinds) await cp(whole.zip(name), join(out, 'whole', `iotda-cert-${name}.zip`))
  expect(await zipFor(out, 'functiongraph', [settings])).toEqual({
    ...{ zip: join(out, 'whole', 'iotda-cert-functiongraph.zip'), missing: [] },
  })
  expect((await zipFor(out, 'lambda', [WITH_ACM, {}], { onLambda: true })).zip).toBe(
    join(out, 'iotda-cert-lambda.zip'),
  )
})
