import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseIotdaDate } from '../../lib/iotda/client.ts'
import { failureOf } from '../support/failure.ts'
import { configured, createOdd, first, listed, upload } from './rig.ts'

describe('surprising answers', () => {
  const broken: readonly [string, unknown][] = [
    ['server_certificate_id', undefined],
    ['server_certificate_id', '../x'],
    ['effective_date', undefined],
    ['effective_date', 1664],
    ['expiry_date', '2026-01-30T23:59:59Z'],
    ['expiry_date', '20260230T000000Z'],
    ['common_name', 7],
    ['certificate_owner', {}],
  ]

  it.each(broken)('a certificate whose %s is %j is unavailable and named', async (field, value) => {
    const { client } = await createOdd(call => {
      const odd = { ...listed, certificate_pem: 'PEM', [field]: value }
      const list = { server_certificates: [{ ...listed, server_certificate_id: 'cert-0' }, odd] }
      return { status: 201, body: call.params.id || call.method === 'POST' ? odd : list }
    })
    const fromList = await failureOf(client.listServerCertificates())
    expect(fromList.code).toBe('unavailable')
    expect(fromList.message).toContain(
      `ListServerCertificates gave an answer that cannot be used: server_certificates.1.${field} `,
    )
    for (const work of [client.showServerCertificate('cert-1'), client.addServerCertificate(upload(first))]) {
      const error = await failureOf(work)
      expect(error.code).toBe('unavailable')
      expect(error.message).toContain(` ${field} is not as documented`)
    }
  })

  it.each([
    ['configuration_id', null],
    ['domain_name', ''],
    ['access_protocol', undefined],
    ['server_certificate_id', undefined],
    ['server_certificate_id', 'a b'],
    ['server_certificate_config', 'none'],
    ['server_certificate_config', []],
  ])('a configuration whose %s is %j is unavailable and named', async (field, value) => {
    const odd = { ...configured, [field]: value }
    const { client } = await createOdd(call => ({
      status: 201,
      body: call.params.id ? odd : { domain_configurations: [odd] },
    }))
    for (const work of [client.showDomainConfiguration('cfg-1'), client.listDomainConfigurations()]) {
      const error = await failureOf(work)
      expect(error.code).toBe('unavailable')
      expect(error.message).toContain(`${field} is not as documented`)
    }
  })

  it('a certificate is not shown without its PEM', async () => {
    const { client } = await createOdd(() => ({ status: 201, body: listed }))
    expect((await failureOf(client.showServerCertificate('cert-1'))).message).toContain('certificate_pem')
  })

  it('an empty list is not read from an answer without one', async () => {
    const { client } = await createOdd(() => ({ status: 200, body: { page: { count: 0 } } }))
    expect((await failureOf(client.listServerCertificates())).message).toContain(': server_certificates is')
    expect((await failureOf(client.listDomainConfigurations())).message).toContain(
      ': domain_configurations is',
    )
  })

  it('whatever the lists hold, they give whole items or a RotationError', async () => {
    let body: unknown
    const { client } = await createOdd(() => ({ status: 200, body: JSON.stringify(body) }))
    const value = fc.oneof(
      fc.json().map(text => JSON.parse(text) as unknown),
      fc.constant(undefined),
    )
    const items = (whole: object) =>
      fc.array(
        fc.record({ field: fc.constantFrom(...Object.keys(whole)), value, odd: fc.boolean() }).map(it => ({
          ...whole,
          ...(it.odd ? { [it.field]: it.value } : {}),
        })),
        { maxLength: 3 },
      )
    const answers = fc.record({
      server_certificates: fc.oneof(items(listed), value),
      domain_configurations: fc.oneof(items(configured), value),
      page: fc.oneof(fc.constant(undefined), fc.record({ count: value, marker: value }), value),
    })
    const settle = (work: Promise<readonly object[]>) => work.catch((error: unknown) => error)
    await fc.assert(
      fc.asyncProperty(answers, async answer => {
        body = answer
        const certificates = await settle(client.listServerCertificates())
        if (Array.isArray(certificates))
          for (const it of certificates) {
            expect(it.serverCertificateId).toMatch(/^[\w-]+$/)
            expect(Number.isInteger(it.expiryDate) && Number.isInteger(it.effectiveDate)).toBe(true)
          }
        else expect(certificates).toMatchObject({ name: 'RotationError', code: 'unavailable' })
        const configurations = await settle(client.listDomainConfigurations())
        if (Array.isArray(configurations))
          for (const it of configurations) {
            expect(it.configurationId).toMatch(/^[\w-]+$/)
            expect(it.serverCertificateId ?? 'none').toMatch(/^[\w-]+$/)
          }
        else expect(configurations).toMatchObject({ name: 'RotationError', code: 'unavailable' })
      }),
      { numRuns: 150 },
    )
  })
})

describe('parseIotdaDate', () => {
  it('reads the documented sample', () => {
    expect(parseIotdaDate('20221008T132137Z')).toBe(Date.UTC(2022, 9, 8, 13, 21, 37))
    expect(parseIotdaDate('20240229T000000Z')).toBe(Date.UTC(2024, 1, 29))
  })

  it.each([
    '',
    '20221008T132137',
    '20221008T132137z',
    ' 20221008T132137Z',
    '20221008T132137Z\n',
    '2022-10-08T13:21:37Z',
    '20221008T132137.000Z',
    '20230229T000000Z',
    '20221301T000000Z',
    '20220001T000000Z',
    '20220100T000000Z',
    '20221008T240000Z',
    '20221008T236000Z',
    '20221008T235960Z',
    '٢0221008T132137Z',
  ])('%j is no date', text => {
    expect(parseIotdaDate(text)).toBeNull()
  })

  it('reads every instant that is written the documented way', () => {
    const max = Date.UTC(9999, 11, 31, 23, 59, 59) / 1000
    const min = Date.UTC(1000, 0, 1) / 1000
    fc.assert(
      fc.property(fc.integer({ min, max }), seconds => {
        const text = new Date(seconds * 1000).toISOString().replace(/[-:]|\.000/g, '')
        expect(parseIotdaDate(text)).toBe(seconds * 1000)
      }),
    )
  })

  it('gives null or the instant that is written the same way', () => {
    const digits = fc.stringMatching(/^\d{8}T\d{6}Z$/)
    fc.assert(
      fc.property(fc.oneof(digits, fc.string()), text => {
        const at = parseIotdaDate(text)
        if (at === null) expect(at).toBeNull()
        else expect(new Date(at).toISOString().replace(/[-:]|\.000/g, '')).toBe(text)
      }),
      { numRuns: 500 },
    )
  })
})
