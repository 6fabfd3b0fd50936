import { describe, expect, test } from 'vitest'
import { issueLeaf } from '../../sandbox/kit/pki.ts'
import { code, createPki, exportKey, names, start, uploadOf } from './iotda-rig.ts'

const { root, issuer, ec, rsa } = await createPki()

describe('what is uploaded', () => {
  test('keys are accepted as PKCS#1, PKCS#8, SEC1 and encrypted PKCS#8', async () => {
    const { request, iotda } = await start({ switches: { certificateQuota: 9 } })
    const statuses: number[] = []
    for (const upload of [
      uploadOf(rsa, exportKey(rsa, 'pkcs1')),
      uploadOf(rsa),
      uploadOf(ec, exportKey(ec, 'sec1')),
      { ...uploadOf(ec, exportKey(ec, 'pkcs8', 'abcXYZ')), private_key_password: 'abcXYZ' },
    ])
      statuses.push((await request('POST', 'server-certificates', upload)).status)
    expect(statuses).toEqual([201, 201, 201, 201])
    expect(iotda.certificates().map(c => c.keyPem)).toEqual([ec.keyPem, ec.keyPem, rsa.keyPem, rsa.keyPem])
  })

  test('key encodings and algorithms can be narrowed', async () => {
    const { request, iotda } = await start({ switches: { keyEncodings: ['pkcs1'] } })
    expect(code(await request('POST', 'server-certificates', uploadOf(rsa)))).toEqual([400, 'IOTDA.014320'])
    expect(
      (await request('POST', 'server-certificates', uploadOf(rsa, exportKey(rsa, 'pkcs1')))).status,
    ).toBe(201)
    iotda.switches.keyEncodings = ['pkcs8']
    iotda.switches.keyAlgorithms = ['rsa']
    expect(code(await request('POST', 'server-certificates', uploadOf(ec)))).toEqual([400, 'IOTDA.014320'])
  })

  test('a certificate without CN is taken, or refused by a switch', async () => {
    const { request, iotda } = await start()
    const nameless = await issueLeaf({ names, issuer, commonName: null })
    expect((await request('POST', 'server-certificates', uploadOf(nameless))).status).toBe(201)
    iotda.switches.withoutCommonName = 'refuse'
    const refused = await request('POST', 'server-certificates', uploadOf(nameless))
    expect(code(refused)).toEqual([400, 'IOTDA.014326'])
    expect((await request('POST', 'server-certificates', uploadOf(ec))).status).toBe(201)
  })

  const refusals: readonly [string, () => unknown, string][] = [
    ['no certificate', () => ({ private_key: ec.keyPem }), 'IOTDA.000006'],
    ['no key', () => ({ certificate_pem: ec.certPem }), 'IOTDA.000006'],
    [
      'a chain over 65,535 characters',
      () => ({ ...uploadOf(ec), certificate_pem: ec.chainPem.padEnd(65_536, '\n') }),
      'IOTDA.000006',
    ],
    ['a key over 10,240 characters', () => uploadOf(ec, ec.keyPem.padEnd(10_241, '\n')), 'IOTDA.000006'],
    ['something else than PEM', () => ({ ...uploadOf(ec), certificate_pem: 'hello' }), 'IOTDA.014301'],
    [
      'the broken header of the documented sample',
      () => ({ ...uploadOf(ec), certificate_pem: ec.certPem.replace('BEGIN ', 'BEGIN') }),
      'IOTDA.014301',
    ],
    [
      'text between the blocks',
      () => ({ ...uploadOf(ec), certificate_pem: `x\n${ec.certPem}` }),
      'IOTDA.014301',
    ],
    [
      'a key among the certificates',
      () => ({ ...uploadOf(ec), certificate_pem: ec.certPem + ec.keyPem }),
      'IOTDA.014301',
    ],
    [
      'a damaged certificate',
      () => ({ ...uploadOf(ec), certificate_pem: ec.certPem.replace(/\nMII.{8}/, '\nAAAAAAAAAAA') }),
      'IOTDA.014301',
    ],
    [
      'blank lines between the blocks',
      () => ({ ...uploadOf(ec), certificate_pem: `${ec.certPem}\n${issuer.certPem}` }),
      'IOTDA.014301',
    ],
    [
      'the chain in the wrong order',
      () => ({ ...uploadOf(ec), certificate_pem: issuer.certPem + ec.certPem }),
      'IOTDA.014301',
    ],
    [
      'a gap in the chain',
      () => ({ ...uploadOf(ec), certificate_pem: ec.certPem + root.certPem }),
      'IOTDA.014301',
    ],
    ['a damaged key', () => uploadOf(ec, ec.keyPem.replace(/\nMI.{4}/, '\nAAAAAA')), 'IOTDA.014320'],
    ['a certificate as the key', () => uploadOf(ec, ec.certPem), 'IOTDA.014320'],
    ['the key of another certificate', () => uploadOf(ec, rsa.keyPem), 'IOTDA.014321'],
    [
      'an encrypted key without its password',
      () => uploadOf(ec, exportKey(ec, 'pkcs8', 'abc')),
      'IOTDA.014322',
    ],
    [
      'an encrypted key with a wrong password',
      () => ({ ...uploadOf(ec, exportKey(ec, 'pkcs8', 'abc')), private_key_password: 'abd' }),
      'IOTDA.014322',
    ],
    ['a password with digits', () => ({ ...uploadOf(ec), private_key_password: 'abc1' }), 'IOTDA.000006'],
    ['a long password', () => ({ ...uploadOf(ec), private_key_password: 'a'.repeat(65) }), 'IOTDA.000006'],
    ['something else than JSON', () => 'certificate_pem=x', 'IOTDA.000008'],
    ['a JSON array', () => [], 'IOTDA.000008'],
  ]
  test.each(refusals)('%s is refused', async (_, body, expected) => {
    const { request, iotda } = await start()
    expect(code(await request('POST', 'server-certificates', body() as object))).toEqual([400, expected])
    expect(iotda.certificates()).toEqual([])
  })

  test('another content type than JSON is refused', async () => {
    const { request } = await start()
    const reply = await request('POST', 'server-certificates', uploadOf(ec), { 'content-type': 'text/plain' })
    expect(code(reply)).toEqual([400, 'IOTDA.000008'])
  })

  test('chain order and blank lines can be forgiven', async () => {
    const { request } = await start({ switches: { chainOrder: 'leaf-first', blankLines: 'accept' } })
    const certificate_pem = `${ec.certPem}\n${root.certPem}`
    expect((await request('POST', 'server-certificates', { ...uploadOf(ec), certificate_pem })).status).toBe(
      201,
    )
  })
})
