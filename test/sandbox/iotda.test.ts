import { describe, expect, test } from 'vitest'
import type { Refusal } from '../../sandbox/iotda/switches.ts'
import { issueLeaf } from '../../sandbox/kit/pki.ts'
import { code, createPki, domain, names, start, uploadOf } from './iotda-rig.ts'

const { issuer, ec, rsa } = await createPki()

describe('server certificates', () => {
  test('create, list, show and delete answer as documented', async () => {
    const { request, faults, iotda } = await start()
    const created = await request('POST', 'server-certificates', uploadOf(ec))
    expect(created.status).toBe(201)
    expect(created.requestId).toMatch(/^[0-9a-f]{32}$/)
    const id = created.body.server_certificate_id
    expect(created.body).toEqual({
      server_certificate_id: expect.stringMatching(/^[0-9a-f]{24}$/),
      common_name: domain,
      effective_date: '20251101T020304Z',
      expiry_date: '20260130T020304Z',
      certificate_owner: `CN=${domain}, O=Example`,
      certificate_issuer: 'CN=Test CA, O=Test',
    })
    const listed = await request('GET', 'server-certificates')
    expect(listed.status).toBe(201)
    expect(listed.body).toEqual({ server_certificates: [created.body], page: { count: 1, marker: id } })
    const shown = await request('GET', `server-certificates/${id}`)
    expect(shown.status).toBe(201)
    expect(shown.body).toEqual({ ...created.body, certificate_pem: ec.chainPem })
    const deleted = await request('DELETE', `server-certificates/${id}`)
    expect([deleted.status, deleted.body]).toEqual([204, ''])
    expect(deleted.requestId).not.toBe(created.requestId)
    expect(code(await request('GET', `server-certificates/${id}`))).toEqual([404, 'IOTDA.014325'])
    expect(code(await request('DELETE', `server-certificates/${id}`))).toEqual([404, 'IOTDA.014325'])
    expect(iotda.certificates()).toEqual([])
    expect(faults.calls.map(call => [call.operation, call.status])).toEqual([
      ['iotda.CreateServerCertificate', 201],
      ['iotda.ListServerCertificates', 201],
      ['iotda.ShowServerCertificate', 201],
      ['iotda.DeleteServerCertificate', 204],
      ['iotda.ShowServerCertificate', 404],
      ['iotda.DeleteServerCertificate', 404],
    ])
  })

  test('reads can answer 200 instead of 201', async () => {
    const { request, iotda } = await start({ switches: { readStatus: 200 } })
    const id = iotda.upload(ec.chainPem, ec.keyPem)
    expect((await request('GET', 'server-certificates')).status).toBe(200)
    expect((await request('GET', `server-certificates/${id}`)).status).toBe(200)
    expect((await request('GET', 'domain-configurations')).status).toBe(200)
  })

  test('two fit, the third is refused with the configured error', async () => {
    const { request, iotda } = await start()
    const ids = [iotda.upload(ec.chainPem, ec.keyPem), iotda.upload(rsa.chainPem, rsa.keyPem)]
    expect(code(await request('POST', 'server-certificates', uploadOf(ec)))).toEqual([400, 'IOTDA.014323'])
    expect(() => iotda.upload(ec.chainPem, ec.keyPem)).toThrow('certificate-quota')
    const errors = { 'certificate-quota': { status: 403, code: 'IOTDA.014300' } }
    expect((await request('POST', '/_sandbox/iotda/switches', { errors })).status).toBe(200)
    expect(code(await request('POST', 'server-certificates', uploadOf(ec)))).toEqual([403, 'IOTDA.014300'])
    expect(iotda.certificates().map(c => c.id)).toEqual(ids.toReversed())
  })

  test('a certificate without a common name has none in the answer, or an empty one', async () => {
    const nameless = await issueLeaf({ names, issuer, commonName: null })
    const { request, iotda } = await start()
    const { body } = await request('POST', 'server-certificates', uploadOf(nameless))
    expect(body).not.toHaveProperty('common_name')
    expect(body.certificate_owner).toBe('')
    iotda.switches.missingCommonName = 'empty'
    const listed = await request('GET', 'server-certificates')
    expect(listed.body.server_certificates[0].common_name).toBe('')
  })

  test('show can give the PEM back in another shape', async () => {
    const { request, iotda } = await start({ switches: { shownPem: 'crlf' } })
    const id = iotda.upload(ec.chainPem, ec.keyPem)
    const pem = async () => (await request('GET', `server-certificates/${id}`)).body.certificate_pem
    expect(await pem()).toBe(ec.chainPem.replaceAll('\n', '\r\n'))
    iotda.switches.shownPem = 'leaf-only'
    expect(await pem()).toBe(ec.certPem)
  })

  test('a read can lag behind a write', async () => {
    let now = Date.parse('2025-12-01T00:00:00Z')
    const { request } = await start({ now: () => now, switches: { readLagMs: 2000 } })
    const { body } = await request('POST', 'server-certificates', uploadOf(ec))
    now += 1999
    expect((await request('GET', 'server-certificates')).body.page).toEqual({ count: 0 })
    expect((await request('GET', `server-certificates/${body.server_certificate_id}`)).status).toBe(404)
    now += 1
    expect((await request('GET', 'server-certificates')).body.page.count).toBe(1)
    expect((await request('GET', `server-certificates/${body.server_certificate_id}`)).status).toBe(201)
  })
})

describe('paging', () => {
  test('newest first, by marker and offset, with the total as the count', async () => {
    let now = Date.parse('2025-12-01T00:00:00Z')
    const { request, iotda } = await start({ now: () => now, switches: { certificateQuota: 12 } })
    const ids: string[] = []
    for (let i = 0; i < 12; i++) {
      ids.unshift(iotda.upload(ec.chainPem, ec.keyPem))
      now += i % 2 === 0 ? 1000 : -3000
    }
    expect(ids).toEqual(ids.toSorted().reverse())
    expect(ids.at(-1)?.slice(0, 8)).toBe(Math.floor(Date.parse('2025-12-01T00:00:00Z') / 1000).toString(16))
    const page = async (query: string) => {
      const { body } = await request('GET', `server-certificates${query}`)
      const found = body.server_certificates.map((c: Record<string, string>) => c.server_certificate_id)
      return { ids: found, page: body.page }
    }
    expect(await page('')).toEqual({ ids: ids.slice(0, 10), page: { count: 12, marker: ids[9] } })
    expect(await page(`?marker=${ids[9]}`)).toEqual({
      ids: ids.slice(10),
      page: { count: 12, marker: ids[11] },
    })
    expect((await page(`?limit=2&marker=${ids[1]}&offset=3`)).ids).toEqual(ids.slice(5, 7))
    expect(await page(`?marker=${ids[11]}`)).toEqual({ ids: [], page: { count: 12 } })
    expect((await page('?limit=50&offset=0')).ids).toEqual(ids)
  })

  test.each([
    ['limit=0', 'IOTDA.000017'],
    ['limit=51', 'IOTDA.000017'],
    ['limit=ten', 'IOTDA.000017'],
    ['marker=abc', 'IOTDA.000014'],
    ['offset=501', 'IOTDA.000006'],
  ])('%s is out of range', async (query, expected) => {
    const { request } = await start()
    expect(code(await request('GET', `server-certificates?${query}`))).toEqual([400, expected])
    expect(code(await request('GET', `domain-configurations?${query}`))).toEqual([400, expected])
  })
})

describe('faults', () => {
  test('a status replaces the answer, before or after the effect', async () => {
    const { request, faults, iotda } = await start()
    const body = '{"error_code":"APIGW.0308","error_msg":"policy user over ratelimit"}'
    faults.add({ operations: ['iotda.Create*'], status: 429, body })
    const refused = await request('POST', 'server-certificates', uploadOf(ec))
    expect([...code(refused), iotda.certificates().length]).toEqual([429, 'APIGW.0308', 0])
    expect(refused.requestId).toMatch(/^[0-9a-f]{32}$/)
    faults.add({ operations: ['iotda.Create*'], status: 504, after: true })
    expect((await request('POST', 'server-certificates', uploadOf(ec))).status).toBe(504)
    expect(iotda.certificates()).toHaveLength(1)
  })

  test('a connection can be dropped before and after the effect', async () => {
    const { request, faults, iotda } = await start()
    faults.add({ operations: ['iotda.CreateServerCertificate'], drop: 'before' })
    await expect(request('POST', 'server-certificates', uploadOf(ec))).rejects.toThrow()
    expect(iotda.certificates()).toHaveLength(0)
    faults.add({ operations: ['iotda.CreateServerCertificate'], drop: 'after' })
    await expect(request('POST', 'server-certificates', uploadOf(ec))).rejects.toThrow()
    expect(iotda.certificates()).toHaveLength(1)
    expect(faults.calls.map(c => c.status)).toEqual([null, null])
  })

  test('an answer can be cut short', async () => {
    const { request, faults, iotda } = await start()
    faults.add({ operations: ['iotda.ListServerCertificates'], cut: 10 })
    iotda.upload(ec.chainPem, ec.keyPem)
    await expect(request('GET', 'server-certificates')).rejects.toThrow()
    expect((await request('GET', 'server-certificates')).body.page.count).toBe(1)
  })
})

describe('the admin routes', () => {
  test('show certificates and binding without keys, and are not logged', async () => {
    const { request, iotda, faults } = await start()
    const id = iotda.upload(ec.chainPem, ec.keyPem)
    iotda.createConfiguration(domain, id)
    const { body } = await request('GET', '/_sandbox/iotda')
    expect(body.certificates).toHaveLength(1)
    expect(body.certificates[0]).toMatchObject({ id, certificatePem: ec.chainPem })
    expect(body.configurations[0].server_certificate_id).toBe(id)
    expect(JSON.stringify(body)).not.toContain('PRIVATE KEY')
    expect(faults.calls).toEqual([])
  })

  test('change switches and refuse unknown ones', async () => {
    const { request, iotda } = await start()
    const change = (body: object) => request('POST', '/_sandbox/iotda/switches', body)
    expect((await change({ readLagMs: 5, deleteBound: 'allow' })).status).toBe(200)
    expect(iotda.switches).toMatchObject({ readLagMs: 5, deleteBound: 'allow' })
    expect((await change({ deleteBond: 'allow' })).status).toBe(400)
    expect((await change({ errors: { full: { status: 403 } } })).status).toBe(400)
  })

  test('every refusal can be given another status and code', async () => {
    const { iotda, request } = await start()
    const refusal: Refusal = 'unknown-certificate'
    iotda.switches.errors = {
      ...iotda.switches.errors,
      [refusal]: { status: 403, code: 'X', message: 'gone' },
    }
    expect(await request('GET', 'server-certificates/abc')).toMatchObject({
      status: 403,
      body: { error_code: 'X', error_msg: 'gone' },
    })
  })
})
