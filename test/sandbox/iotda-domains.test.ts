import { describe, expect, test } from 'vitest'
import { code, configurationOf, createPki, domain, exportKey, start } from './iotda-rig.ts'

const { issuer, ec, rsa } = await createPki()

describe('domain configurations', () => {
  test('create, list, show, update and delete answer as documented', async () => {
    const { request, iotda, faults } = await start()
    const id = iotda.upload(ec.chainPem, ec.keyPem)
    const other = iotda.upload(rsa.chainPem, rsa.keyPem)
    const announced: (string | null)[] = []
    const stop = iotda.onBind(bound => announced.push(bound?.certificatePem ?? null))
    const created = await request('POST', 'domain-configurations', configurationOf(id))
    const path = `domain-configurations/${created.body.configuration_id}`
    expect(created).toMatchObject({ status: 201, requestId: expect.any(String) })
    expect(created.body).toEqual({
      configuration_id: expect.stringMatching(/^[0-9a-f]{24}$/),
      ...configurationOf(id),
      server_certificate_config: { ocsp_stapling_enable: false, ocsp_ssl_enable: true },
    })
    const listed = await request('GET', 'domain-configurations')
    expect(listed.body).toEqual({
      domain_configurations: [created.body],
      page: { count: 1, marker: created.body.configuration_id },
    })
    const updated = await request('PUT', path, { server_certificate_id: other })
    expect(updated).toMatchObject({ status: 201, body: { ...created.body, server_certificate_id: other } })
    expect(await request('GET', path)).toMatchObject({ status: 201, body: updated.body })
    expect(iotda.bound()).toEqual({ domain, certificatePem: rsa.chainPem, keyPem: rsa.keyPem })
    await request('PUT', path, { server_certificate_id: other })
    expect((await request('DELETE', path)).status).toBe(204)
    expect(iotda.bound()).toBeNull()
    stop()
    iotda.createConfiguration(domain, id)
    expect(announced).toEqual([ec.chainPem, rsa.chainPem, rsa.chainPem, null])
    expect([listed.status, code(await request('GET', path)), code(await request('DELETE', path))]).toEqual([
      201,
      [404, 'IOTDA.014331'],
      [404, 'IOTDA.014331'],
    ])
    expect([...new Set(faults.calls.map(call => call.operation))].sort()).toEqual([
      'iotda.CreateDomainConfiguration',
      'iotda.DeleteDomainConfiguration',
      'iotda.ListDomainConfigurations',
      'iotda.ShowDomainConfiguration',
      'iotda.UpdateDomainConfiguration',
    ])
  })

  test('a PUT without the OCSP object resets it, or keeps it', async () => {
    const { request, iotda } = await start()
    const id = iotda.upload(ec.chainPem, ec.keyPem)
    const path = `domain-configurations/${iotda.createConfiguration(domain, id)}`
    const config = { ocsp_stapling_enable: true, ocsp_server_ca_id: 'ca-1', ocsp_ssl_enable: false }
    const put = async (body: object) => (await request('PUT', path, body)).body.server_certificate_config
    expect(await put({ server_certificate_config: config })).toEqual(config)
    iotda.switches.putWithoutConfig = 'keep'
    expect(await put({ server_certificate_id: id })).toEqual(config)
    iotda.switches.putWithoutConfig = 'reset'
    const defaults = { ocsp_stapling_enable: false, ocsp_ssl_enable: true }
    expect(await put({ server_certificate_id: id })).toEqual(defaults)
    expect(iotda.configurations()[0]?.server_certificate_id).toBe(id)
  })

  const refusals: readonly [string, object, string][] = [
    ['a wildcard', { domain_name: '*.example.com' }, 'IOTDA.000006'],
    ['a single label', { domain_name: 'localhost' }, 'IOTDA.000006'],
    ['a label that starts with a dash', { domain_name: 'a.-b.com' }, 'IOTDA.000006'],
    ['no domain', { domain_name: undefined }, 'IOTDA.000006'],
    ['another protocol', { access_protocol: 'Device-HTTPS' }, 'IOTDA.000006'],
    ['an unknown certificate', { server_certificate_id: '0'.repeat(24) }, 'IOTDA.014325'],
    ['a long certificate id', { server_certificate_id: '0'.repeat(37) }, 'IOTDA.000006'],
    ['a flag that is none', { server_certificate_config: { ocsp_ssl_enable: 'yes' } }, 'IOTDA.000006'],
    ['a configuration that is none', { server_certificate_config: 'on' }, 'IOTDA.000006'],
  ]
  test.each(refusals)('%s is refused', async (_, change, expected) => {
    const { request, iotda } = await start()
    const id = iotda.upload(ec.chainPem, ec.keyPem)
    const body = { ...configurationOf(id), ...change }
    expect(code(await request('POST', 'domain-configurations', body))).toEqual([400, expected])
    expect(iotda.configurations()).toEqual([])
  })

  test('a PUT with an unknown certificate, or of the name, changes nothing', async () => {
    const { request, iotda } = await start()
    const id = iotda.upload(ec.chainPem, ec.keyPem)
    const path = `domain-configurations/${iotda.createConfiguration(domain, id)}`
    const before = iotda.configurations()
    expect(code(await request('PUT', path, { server_certificate_id: 'f'.repeat(24) }))).toEqual([
      400,
      'IOTDA.014325',
    ])
    expect(code(await request('PUT', path, { domain_name: 'b.example.com' }))).toEqual([400, 'IOTDA.000006'])
    const unknown = `domain-configurations/${'0'.repeat(24)}`
    expect(code(await request('PUT', unknown, { server_certificate_id: id }))).toEqual([404, 'IOTDA.014331'])
    expect(iotda.configurations()).toBe(before)
  })

  test('a second configuration is refused', async () => {
    const { request, iotda } = await start()
    const id = iotda.upload(ec.chainPem, ec.keyPem)
    iotda.createConfiguration(domain, id)
    const body = { ...configurationOf(id), domain_name: 'b.example.com' }
    expect(code(await request('POST', 'domain-configurations', body))).toEqual([400, 'IOTDA.014330'])
    expect(() => iotda.createConfiguration('b.example.com', id)).toThrow('configuration-quota')
  })

  test('a bound certificate cannot be deleted, unless the platform allows it', async () => {
    const { request, iotda } = await start()
    const id = iotda.upload(ec.chainPem, ec.keyPem)
    iotda.createConfiguration(domain, id)
    expect(code(await request('DELETE', `server-certificates/${id}`))).toEqual([400, 'IOTDA.014324'])
    expect(() => iotda.deleteCertificate(id)).toThrow('bound')
    expect(iotda.bound()?.certificatePem).toBe(ec.chainPem)
    iotda.switches.deleteBound = 'allow'
    expect((await request('DELETE', `server-certificates/${id}`)).status).toBe(204)
    expect(iotda.bound()).toBeNull()
  })

  test('an operator can bind another certificate', async () => {
    const { iotda } = await start()
    const first = iotda.upload(ec.chainPem, ec.keyPem)
    const second = iotda.upload(`${rsa.certPem}\n${issuer.certPem}`, exportKey(rsa, 'pkcs1'))
    expect(() => iotda.bind(first)).toThrow('no domain configuration')
    iotda.createConfiguration(domain, first)
    iotda.bind(second)
    expect(iotda.bound()?.keyPem).toBe(rsa.keyPem)
    iotda.deleteCertificate(first)
    expect(iotda.certificates().map(c => c.id)).toEqual([second])
  })
})
