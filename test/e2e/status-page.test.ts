/** The page of the fleet, published beside the state after each run; and what devices make of what is served. */
import { randomBytes } from 'node:crypto'
import { chmod, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createS3 } from '../../sandbox/stores/s3.ts'
import { AWS_KEY, AWS_SECRET, AWS_TOKEN, awsKeys, REGION } from '../stores/cloud.ts'
import { cleanups } from '../support/cleanups.ts'
import { cli } from '../support/command.ts'
import { caExtensions, issue } from '../support/issue.ts'
import { DAY_MS, HOUR_MS, openDue, openScenario, type Scenario } from '../support/scenario.ts'

const publish = (settings: { statusPage?: object }): void => {
  settings.statusPage = { publish: true }
}
const fileOf = (s: Scenario): string => join(s.rig.folder, 'state', 'page', 'status.html')
const pageOf = (s: Scenario): Promise<string> => readFile(fileOf(s), 'utf8')
/** Operations on IoTDA of one run. */
const callsOf = async (s: Scenario, work: () => Promise<unknown>): Promise<readonly string[]> => {
  s.faults.clearCalls()
  await work()
  return s.faults.calls.map(c => c.operation).filter(it => it.startsWith('iotda.'))
}

describe('in the file store', () => {
  test('whole and private after a run that found nothing to do, which looks at each certificate', async () => {
    const s = await openScenario()
    await s.bindOne(60)
    await s.run()
    const before = await callsOf(s, () => s.run())
    await expect(stat(fileOf(s))).rejects.toThrow('ENOENT')
    await s.configure(publish)
    const result = await s.run()
    expect(await callsOf(s, () => s.run())).toEqual([...before, 'iotda.ShowServerCertificate'])
    expect(result).toMatchObject({ outcome: 'idle' })
    // What is only for the page stays out of the answer.
    expect(Object.keys(result)).not.toEqual(expect.arrayContaining(['seen']))
    expect(result).not.toHaveProperty('devices')
    expect((await stat(fileOf(s))).mode & 0o777).toBe(0o600)
    const page = await pageOf(s)
    expect(page).toMatch(/^<!doctype html>[\s\S]*factory-1[\s\S]*<\/html>\s*$/)
    for (const said of [
      'any device</b>',
      '>accepts</span> what is served at',
      'bound',
      s.device.addresses[0] ?? '',
      '59d',
    ])
      expect(page, said).toContain(said)
  })

  test('after a rotation it shows what is served now, and the steps', async () => {
    const { s } = await openDue({ change: publish })
    expect(await pageOf(s)).toContain('until <time datetime="')
    const result = await s.runTo({ outcome: 'rotated' })
    const page = await pageOf(s)
    expect(page).toContain(result.after?.fingerprint.slice(0, 16))
    expect(page).toContain(`Served until <time datetime="${result.after?.notAfter}"`)
    expect(page).toMatch(/<th scope="row">obtain<\/th><td>done/)
    expect(page).toContain('rotated')
  })

  test('a run that failed is on it, with what to do', async () => {
    const { s } = await openDue({ change: publish })
    s.faults.add({ operations: ['httpreq.Present'], status: 500, times: 99 })
    const { error } = await s.run()
    expect(error?.code).toBe('unavailable')
    const page = await pageOf(s)
    expect(page).toContain('unavailable: ')
    expect(page).toContain('look at it: unavailable')
  })

  test('in the language of the settings, as is the one of status --html', async () => {
    const s = await openScenario({
      change: settings => {
        settings.statusPage = { publish: true, language: 'zh' }
      },
    })
    await s.bindOne(60)
    await s.run()
    expect(await pageOf(s)).toMatch(/<html lang="zh-CN">[\s\S]*所提供的证书有效期至/)
    const file = join(s.rig.folder, 'status.html')
    const { code } = await cli(s.rig, ['status', '--html', file])
    expect(code).toBe(0)
    expect(await readFile(file, 'utf8')).toMatch(/<html lang="zh-CN">[\s\S]*所提供的证书有效期至/)
  })

  test('a run for some targets, a plan and a status publish nothing', async () => {
    const s = await openScenario({ change: publish })
    await s.bindOne(60)
    await s.run({ targets: ['factory-1'] })
    await s.run({ action: 'plan' })
    await s.run({ action: 'status' })
    await expect(stat(fileOf(s))).rejects.toThrow('ENOENT')
    await s.run()
    expect((await stat(fileOf(s))).isFile()).toBe(true)
  })

  test('that it cannot be written is a warning of the run, and changes nothing else', async () => {
    const { s } = await openDue()
    await s.configure(publish)
    await mkdir(join(s.rig.folder, 'state'), { recursive: true })
    await writeFile(join(s.rig.folder, 'state', 'page'), 'a file where a folder should be')
    const answer = await s.rig.run({}, { clock: s.clock })
    expect(answer).toMatchObject({ ok: true, results: [{ outcome: 'rotated', warnings: [], error: null }] })
    expect(answer.warnings).toMatchObject([
      {
        code: 'page-not-published',
        message: expect.stringMatching(/page was not published: file store: .*status\.html/),
      },
    ])
    await rm(join(s.rig.folder, 'state', 'page'))
    s.clock.advance(HOUR_MS)
    expect(await s.rig.run({}, { clock: s.clock })).not.toHaveProperty('warnings')
  })

  test('whoever reads it never sees half of one, and others of the folder are let alone', async () => {
    const s = await openScenario({ change: publish })
    await s.bindOne(60)
    await s.run()
    await writeFile(join(s.rig.folder, 'state', 'page', 'mine.txt'), 'x')
    // Somebody opened it to a web server: the next page is private again.
    await chmod(fileOf(s), 0o644)
    const reader = await readFile(fileOf(s), 'utf8')
    await s.run()
    expect(reader.trimEnd().endsWith('</html>')).toBe(true)
    expect((await stat(fileOf(s))).mode & 0o777).toBe(0o600)
    expect(await readFile(join(s.rig.folder, 'state', 'page', 'mine.txt'), 'utf8')).toBe('x')
  })
})

describe('in the s3 store', () => {
  async function open() {
    const { s } = await openDue()
    const bucket = await createS3({ faults: s.faults, keys: awsKeys, bucket: 'state', now: s.clock.now })
    cleanups.push(bucket.dispose)
    const place = {
      type: 's3',
      bucket: 'state',
      endpoint: bucket.url,
      region: REGION,
      sessionToken: AWS_TOKEN,
    }
    const sealKey = randomBytes(32).toString('base64')
    await s.configure(settings => {
      settings.store = { ...place, accessKeyId: AWS_KEY, secretAccessKey: AWS_SECRET, sealKey }
      publish(settings)
    })
    return { s, bucket, keys: () => [...bucket.objects.keys()] }
  }

  test('an object of its own prefix, in HTML, nobody’s but the owner’s; documents are as they were', async () => {
    const { s, bucket, keys } = await open()
    expect(await s.run()).toMatchObject({ outcome: 'rotated' })
    const page = bucket.objects.get('iotda-cert-page/status.html')
    expect(page).toMatchObject({ contentType: 'text/html; charset=utf-8', acl: null })
    expect(page?.body).toContain('factory-1')
    const documents = keys().filter(key => key !== 'iotda-cert-page/status.html')
    expect(documents.length).toBeGreaterThan(4)
    for (const key of documents) {
      expect(key).toMatch(/^iotda-cert\/[a-z0-9/.-]+$/)
      expect(bucket.objects.get(key)?.body).not.toContain('<html')
    }
    await s.later(HOUR_MS)
    expect(bucket.objects.get('iotda-cert-page/status.html')?.etag).not.toBe(page?.etag)
  })

  test.each([403, 500])('an answer of %i is a warning, and the result is the same', async status => {
    const { s, bucket } = await open()
    bucket.switches.failing = { prefix: 'iotda-cert-page/', status }
    const answer = await s.rig.run({}, { clock: s.clock })
    expect(answer).toMatchObject({ ok: true, results: [{ outcome: 'rotated', error: null }] })
    expect(answer.results[0]?.warnings.map(w => w.code)).toEqual(['adopted'])
    expect(answer.warnings?.map(w => w.code)).toEqual(['page-not-published'])
    expect(bucket.objects.has('iotda-cert-page/status.html')).toBe(false)
  })
})

test.each(['csms', 'secretsmanager'])('the %s store keeps no page: its settings say so', async type => {
  const s = await openScenario()
  await s.configure(settings => {
    const place = type === 'csms' ? { credentials: 'cn', projectId: 'p1' } : {}
    settings.store = { type, region: 'eu-central-1', ...place, sealKey: randomBytes(32).toString('base64') }
    if (type === 'secretsmanager')
      Object.assign(settings.store, { accessKeyId: AWS_KEY, secretAccessKey: AWS_SECRET })
    publish(settings)
  })
  await expect(s.run()).rejects.toMatchObject({
    code: 'settings-invalid',
    message: expect.stringContaining(`statusPage.publish: the store "${type}" keeps no page; file and s3 do`),
  })
})

describe('what devices make of it, by status', () => {
  const status = async (s: Scenario) => (await s.run({ action: 'status' })).devices

  test('each profile judges what is served, and roots that end have a day', async () => {
    const s = await openScenario()
    await s.bindOne(60)
    const endsAt = s.clock.now() + 40 * DAY_MS
    const other = await issue({
      ...{ subject: 'CN=Burnt In', extensions: caExtensions() },
      ...{ notBefore: s.clock.now() - 900 * DAY_MS, notAfter: endsAt },
    })
    await s.configure(settings =>
      Object.assign(settings.targets[0], {
        profiles: ['openssl', { name: 'meter-v1', trustedRoots: [other.pem] }],
      }),
    )
    const devices = await status(s)
    expect(devices?.verdicts).toMatchObject([
      { profile: 'openssl', ok: true, address: s.device.addresses[0] },
      { profile: 'meter-v1', ok: false, lines: [{ check: 'path', verdict: 'refuse', profile: 'meter-v1' }] },
    ])
    expect(devices?.ends.map(({ at, what }) => [Date.parse(at), what.includes('Burnt In')])).toEqual([
      [Math.floor(endsAt / 1_000) * 1_000, true],
    ])
    const { stdout } = await cli(s.rig, ['status', '--json'])
    expect(JSON.parse(stdout).results[0].devices.verdicts).toHaveLength(2)
  })

  test('what is served and what is bound are told apart', async () => {
    const s = await openScenario()
    await s.bindOne(60)
    const { certPem, keyPem } = await s.issue(-1, 89, ['other.example.com'])
    s.device.switches.serve = { certPem, keyPem }
    expect((await status(s))?.verdicts).toMatchObject([
      { ok: false, address: s.device.addresses[0], lines: [{ check: expect.stringMatching(/name/) }] },
    ])
    await s.device.dispose()
    expect((await status(s))?.verdicts).toMatchObject([{ ok: true, address: null, lines: [] }])
  })
})
