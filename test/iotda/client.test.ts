import { createPrivateKey } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import { serviceErrorOf } from '../../lib/http/api-call.ts'
import type { createIotdaClient } from '../../lib/iotda/client.ts'
import { pageOf } from '../../sandbox/iotda/store.ts'
import { failureOf } from '../support/failure.ts'
import {
  clientOf,
  configured,
  createOdd,
  createRig,
  DOMAIN,
  first,
  listed,
  second,
  UNKNOWN,
  upload,
} from './rig.ts'

describe('server certificates', () => {
  it('is added, listed, shown and deleted', async () => {
    const { client, iotda } = await createRig()
    await expect(client.listServerCertificates()).resolves.toEqual([])
    const added = await client.addServerCertificate(upload(first))
    expect(added).toEqual({
      serverCertificateId: iotda.certificates()[0]?.id,
      commonName: DOMAIN,
      effectiveDate: Date.UTC(2025, 10, 1),
      expiryDate: Date.UTC(2026, 0, 30, 23, 59, 59),
      owner: `CN=${DOMAIN}, O=Example`,
      issuer: 'CN=Sandbox Root, O=Sandbox',
    })
    expect(iotda.certificates()[0]?.keyPem).toBe(first.keyPem)
    const other = await client.addServerCertificate(upload(second))
    await expect(client.listServerCertificates()).resolves.toEqual([other, added])
    await expect(client.showServerCertificate(added.serverCertificateId)).resolves.toEqual({
      ...added,
      certificatePem: first.chainPem,
    })
    await expect(client.deleteServerCertificate(added.serverCertificateId)).resolves.toBeUndefined()
    await expect(client.listServerCertificates()).resolves.toEqual([other])
  })

  it.each(['omit', 'empty'] as const)(
    'has no common name when the platform gives none (%s)',
    async missingCommonName => {
      const { client } = await createRig({ switches: { missingCommonName } })
      expect(await client.addServerCertificate(upload(second))).toMatchObject({ commonName: null, owner: '' })
    },
  )

  it('sends the password of an encrypted key', async () => {
    const { client, iotda } = await createRig()
    const privateKey = createPrivateKey(first.keyPem)
      .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'letters' })
      .toString()
    const material = { certificatePem: first.chainPem, privateKey: secret(privateKey) }
    const refused = await failureOf(client.addServerCertificate(material))
    expect(serviceErrorOf(refused)).toEqual({
      status: 400,
      code: 'IOTDA.014322',
      message: expect.any(String),
    })
    await client.addServerCertificate({ ...material, privateKeyPassword: secret('letters') })
    expect(iotda.certificates()[0]?.keyPem).toBe(first.keyPem)
  })

  it.each([200, 201] as const)('accepts %i for reads', async readStatus => {
    const { client, iotda } = await createRig({ switches: { readStatus } })
    const id = iotda.upload(first.chainPem, first.keyPem)
    expect(await client.listServerCertificates()).toHaveLength(1)
    expect((await client.showServerCertificate(id))?.serverCertificateId).toBe(id)
  })

  it('that does not exist is null to show and deleted already', async () => {
    const { client, faults } = await createRig()
    await expect(client.showServerCertificate(UNKNOWN)).resolves.toBeNull()
    await expect(client.deleteServerCertificate(UNKNOWN)).resolves.toBeUndefined()
    expect(faults.calls.map(call => call.status)).toEqual([404, 404])
  })

  it.each([
    ['an unknown path', 404, '{"error_code":"IOTDA.000029","error_msg":"no such resource"}'],
    ['an unknown API', 404, '{"error_code":"APIGW.0101","error_msg":"no such API"}'],
    ['a page of a proxy', 404, '<html>not found</html>'],
    ['a 400', 400, '{"error_code":"IOTDA.014325","error_msg":"The server certificate does not exist."}'],
    ['a 403', 403, '{"error_code":"IOTDA.014325","error_msg":"The server certificate does not exist."}'],
  ])('is not taken for gone by %s', async (_, status, body) => {
    const { client, faults } = await createRig()
    faults.add({ operations: ['iotda.*'], times: 9, status, body })
    expect(serviceErrorOf(await failureOf(client.showServerCertificate(UNKNOWN)))?.status).toBe(status)
    expect(serviceErrorOf(await failureOf(client.deleteServerCertificate(UNKNOWN)))?.status).toBe(status)
  })

  it('is never added a second time by the client itself', async () => {
    const { client, iotda, faults } = await createRig()
    faults.add({ operations: ['iotda.CreateServerCertificate'], drop: 'after' })
    const error = await failureOf(client.addServerCertificate(upload(first)))
    expect(error).toMatchObject({ code: 'unavailable', retry: 'later' })
    expect(error.message).toContain('iotda: CreateServerCertificate')
    expect(iotda.certificates()).toHaveLength(1)
    expect(faults.calls).toHaveLength(1)
  })

  it('that is bound stays: the refusal comes through', async () => {
    const { client, iotda } = await createRig()
    const id = iotda.upload(first.chainPem, first.keyPem)
    iotda.createConfiguration(DOMAIN, id)
    expect(await failureOf(client.deleteServerCertificate(id))).toMatchObject({ code: 'service-refused' })
    expect(iotda.certificates()).toHaveLength(1)
  })

  it.each(['..', '.', '', 'a/b', 'a?b', 'x'.repeat(37)])('is not asked for as %j', async id => {
    const { client, faults } = await createRig()
    expect((await failureOf(client.showServerCertificate(id))).code).toBe('internal')
    expect((await failureOf(client.deleteServerCertificate(id))).code).toBe('internal')
    expect(faults.calls).toHaveLength(0)
  })

  it('follows the marker to the end of the list', async () => {
    const all = Array.from({ length: 120 }, (_, i) => ({
      ...listed,
      server_certificate_id: (i + 1).toString(16).padStart(24, '0'),
    }))
    const { client, faults } = await createOdd(call => {
      const limit = Number(call.query.get('limit'))
      const marker = call.query.get('marker') ?? 'f'.repeat(24)
      const { items, page } = pageOf(all, it => it.server_certificate_id, { limit, marker, offset: 0 })
      return { status: 201, body: { server_certificates: items, page } }
    })
    const found = await client.listServerCertificates()
    expect(found.map(it => it.serverCertificateId)).toEqual(
      all.map(it => it.server_certificate_id).toReversed(),
    )
    expect(faults.calls.map(call => new URL(call.path, 'http://h').search)).toEqual([
      '?limit=50',
      `?limit=50&marker=${(71).toString(16).padStart(24, '0')}`,
      `?limit=50&marker=${(21).toString(16).padStart(24, '0')}`,
    ])
  })

  it('ends at the empty page behind a full one', async () => {
    const all = Array.from({ length: 50 }, (_, i) => ({ ...listed, server_certificate_id: `id-${i}` }))
    const { client, faults } = await createOdd(call => ({
      status: 200,
      body: { server_certificates: call.query.has('marker') ? [] : all },
    }))
    expect(await client.listServerCertificates()).toHaveLength(50)
    expect(faults.calls.at(-1)?.path).toContain('marker=id-49')
  })

  it('does not follow a list without an end, nor take a page of thousands', async () => {
    const ids = Array.from({ length: 10_000 }, (_, i) => `id-${i}`).values()
    const some = (count: number) =>
      Array.from({ length: count }, () => ({ ...listed, server_certificate_id: ids.next().value as string }))
    const endless = {
      code: 'unavailable',
      message: expect.stringMatching(/^iotda: ListServerCertificates gave \d+ items and more/),
    }
    const pages = await createOdd(() => ({ status: 200, body: { server_certificates: some(50) } }))
    expect(await failureOf(pages.client.listServerCertificates())).toMatchObject(endless)
    expect(pages.faults.calls).toHaveLength(5)
    const page = await createOdd(() => ({ status: 200, body: { server_certificates: some(5_000) } }))
    expect(await failureOf(page.client.listServerCertificates())).toMatchObject(endless)
  })

  it('does not follow a list that turns in a circle', async () => {
    const all = Array.from({ length: 50 }, (_, i) => ({ ...listed, server_certificate_id: `id-${i}` }))
    const { client, faults } = await createOdd(() => ({ status: 200, body: { server_certificates: all } }))
    const error = await failureOf(client.listServerCertificates())
    expect(error).toMatchObject({ code: 'unavailable', message: expect.stringContaining('twice') })
    expect(faults.calls).toHaveLength(2)
  })
})

describe('domain configurations', () => {
  it('is created, listed, shown and bound to another certificate', async () => {
    const { client, iotda, faults } = await createRig()
    const one = await client.addServerCertificate(upload(first))
    const two = await client.addServerCertificate(upload(second))
    await expect(client.listDomainConfigurations()).resolves.toEqual([])
    const created = await client.createDomainConfiguration({
      domainName: DOMAIN,
      serverCertificateId: one.serverCertificateId,
    })
    expect(created).toEqual({
      configurationId: iotda.configurations()[0]?.configuration_id,
      domainName: DOMAIN,
      accessProtocol: 'Device-MQTTS',
      serverCertificateId: one.serverCertificateId,
      serverCertificateConfig: { ocsp_stapling_enable: false, ocsp_ssl_enable: true },
    })
    await expect(client.listDomainConfigurations()).resolves.toEqual([created])
    await expect(client.showDomainConfiguration(created.configurationId)).resolves.toEqual(created)
    const config = { ocsp_stapling_enable: true, ocsp_ssl_enable: false }
    const { serverCertificateId } = two
    const bound = await client.updateDomainConfiguration(created.configurationId, {
      serverCertificateId,
      serverCertificateConfig: config,
    })
    expect(bound).toEqual({ ...created, serverCertificateId, serverCertificateConfig: config })
    expect(iotda.bound()?.certificatePem).toBe(second.chainPem)
    expect(JSON.parse(faults.calls.at(-1)?.body ?? '')).toEqual({
      server_certificate_id: serverCertificateId,
      server_certificate_config: config,
    })
  })

  it('sends no config when there is none', async () => {
    const { client, iotda, faults } = await createRig({ switches: { putWithoutConfig: 'keep' } })
    const serverCertificateId = iotda.upload(first.chainPem, first.keyPem)
    const id = iotda.createConfiguration(DOMAIN, serverCertificateId)
    await client.updateDomainConfiguration(id, { serverCertificateId, serverCertificateConfig: null })
    expect(faults.calls.at(-1)?.body).toBe(JSON.stringify({ server_certificate_id: serverCertificateId }))
  })

  it('that does not exist is an error with its status', async () => {
    const { client } = await createRig()
    const error = await failureOf(client.showDomainConfiguration(UNKNOWN))
    expect(error.code).toBe('service-refused')
    expect(serviceErrorOf(error)?.status).toBe(404)
  })

  it('passes its config back as it came', async () => {
    const config = {
      ocsp_stapling_enable: true,
      ocsp_server_ca_id: 'ca1',
      a_field_of_tomorrow: [1, { b: null }],
    }
    const { client, faults } = await createOdd(() => ({
      status: 201,
      body: { ...configured, server_certificate_config: config },
    }))
    const { configurationId, serverCertificateConfig } = await client.showDomainConfiguration('cfg-1')
    expect(serverCertificateConfig).toEqual(config)
    await client.updateDomainConfiguration(configurationId, {
      serverCertificateId: 'c2',
      serverCertificateConfig,
    })
    expect(JSON.parse(faults.calls.at(-1)?.body ?? '').server_certificate_config).toEqual(config)
  })

  it.each([null, ''])('binds nothing when the platform says %j', async server_certificate_id => {
    const { client } = await createOdd(() => ({
      status: 200,
      body: { ...configured, server_certificate_id },
    }))
    expect((await client.showDomainConfiguration('cfg-1')).serverCertificateId).toBeNull()
  })
})

describe('who may not', () => {
  const calls = {
    'iotda:servercertificate:queryList': client => client.listServerCertificates(),
    'iotda:servercertificate:query': client => client.showServerCertificate(UNKNOWN),
    'iotda:servercertificate:create': client => client.addServerCertificate(upload(first)),
    'iotda:servercertificate:delete': client => client.deleteServerCertificate(UNKNOWN),
    'iotda:domainconfiguration:queryList': client => client.listDomainConfigurations(),
    'iotda:domainconfiguration:query': client => client.showDomainConfiguration(UNKNOWN),
    'iotda:domainconfiguration:create': client =>
      client.createDomainConfiguration({ domainName: DOMAIN, serverCertificateId: UNKNOWN }),
    'iotda:domainconfiguration:update': client =>
      client.updateDomainConfiguration(UNKNOWN, {
        serverCertificateId: UNKNOWN,
        serverCertificateConfig: null,
      }),
  } satisfies Record<string, (client: ReturnType<typeof createIotdaClient>) => Promise<unknown>>

  it.each(Object.entries(calls))('is told of %s', async (action, call) => {
    const { client, faults } = await createRig()
    const body = '{"error_code":"IOTDA.000022","error_msg":"no permission"}'
    faults.add({ operations: ['iotda.*'], status: 403, body })
    const error = await failureOf(call(client))
    expect(error.code).toBe('forbidden')
    expect(error.hint).toContain(`IAM action ${action} `)
    expect(faults.calls).toHaveLength(1)
  })

  it.each(Object.entries(calls))('stops %s when told to', async (_, call) => {
    const { iotda, faults } = await createRig()
    const stop = new AbortController()
    stop.abort()
    const client = clientOf(iotda.url)
    const aborting = new Proxy(client, {
      get:
        (target, name) =>
        (...given: unknown[]) =>
          Reflect.apply(Reflect.get(target, name) as (...all: unknown[]) => unknown, target, [
            ...given,
            stop.signal,
          ]),
    })
    expect((await failureOf(call(aborting))).code).toBe('out-of-time')
    expect(faults.calls).toHaveLength(0)
  })

  it.each<[string, Parameters<typeof createRig>, string, string]>([
    [
      'the other signing scheme',
      [{}, { signing: 'standard' }],
      'unauthorized',
      'instance.signing to "derived"',
    ],
    ['the wrong instance', [{}, { instanceId: 'another' }], 'forbidden', 'instance.instanceId'],
    ['the wrong project', [{}, { projectId: 'f'.repeat(32) }], 'forbidden', 'instance.projectId'],
    ['a clock that is wrong', [{ now: () => Date.now() + 16 * 60_000 }], 'unauthorized', 'clock'],
  ])('hears of %s', async (_, rig, code, hint) => {
    const { client } = await createRig(...rig)
    const refused = { code, retry: 'never', hint: expect.stringContaining(hint) }
    expect(await failureOf(client.listServerCertificates())).toMatchObject(refused)
  })

  it('needs a project id', () => {
    expect(() => clientOf('http://127.0.0.1:1', { projectId: null })).toThrow('project id')
  })
})
