import { createSecureContext } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { PRESETS, type Preset } from '../../lib/devices/presets.ts'
import { clientHelloOf } from '../../lib/iotda/client-hello.ts'
import { SIGNATURE_ALGORITHMS } from '../../lib/x509/details.ts'

type Limits = Parameters<typeof clientHelloOf>[0]
const limits = (changes: Partial<Limits>): Limits => ({
  tls: null,
  ciphers: null,
  keyTypes: null,
  signatureAlgorithms: null,
  ...changes,
})
const RSA_SHA256 = ['rsa_pkcs1_sha256', 'rsa_pss_rsae_sha256']

describe('what a device offers', () => {
  test('without limits: whatever Node offers', () => {
    expect(clientHelloOf(limits({}))).toEqual({})
  })

  test('its protocol versions and cipher suites', () => {
    const ciphers = 'ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA'
    const tls = { min: 'TLSv1.2', max: 'TLSv1.2' } as const
    expect(clientHelloOf(limits({ tls, ciphers }))).toEqual({
      minVersion: 'TLSv1.2',
      maxVersion: 'TLSv1.2',
      ciphers,
    })
  })

  test('the versions that its cipher suites belong to', () => {
    const old = clientHelloOf(limits({ ciphers: 'ecdhe-rsa-aes128-gcm-sha256' }))
    expect(old).toEqual({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' })
    const both = clientHelloOf(limits({ ciphers: 'TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES128-GCM-SHA256' }))
    expect(Object.keys(both)).toEqual(['ciphers'])
    expect(clientHelloOf(limits({ ciphers: 'TLS_AES_128_GCM_SHA256' })).minVersion).toBe('TLSv1.3')
    const tls = { min: 'TLSv1.1', max: 'TLSv1.1' } as const
    expect(clientHelloOf(limits({ tls, ciphers: 'AES128-SHA' })).maxVersion).toBe('TLSv1.1')
  })

  test('TLS 1.1, which OpenSSL speaks only when told to', () => {
    const tls = { min: 'TLSv1.1', max: 'TLSv1.2' } as const
    expect(clientHelloOf(limits({ tls })).ciphers).toBe('DEFAULT:@SECLEVEL=0')
    expect(clientHelloOf(limits({ tls, ciphers: 'AES128-SHA' })).ciphers).toBe('AES128-SHA:@SECLEVEL=0')
  })

  test.each<[string, Partial<Limits>, readonly string[]]>([
    ['of its algorithms', { signatureAlgorithms: ['sha256WithRSAEncryption'] }, RSA_SHA256],
    ['of its key types', { keyTypes: ['ec-384'] }, ['ecdsa_secp384r1_sha384']],
    [
      'of both, where they meet',
      { keyTypes: ['rsa-2048'], signatureAlgorithms: ['sha256WithRSAEncryption', 'ecdsa-with-SHA256'] },
      RSA_SHA256,
    ],
    [
      'of its keys, where its certificates are signed by another family',
      { keyTypes: ['ec-256'], signatureAlgorithms: ['sha256WithRSAEncryption'] },
      ['ecdsa_secp256r1_sha256'],
    ],
  ])('signatures %s', (_, changes, sigalgs) => {
    expect(clientHelloOf(limits(changes)).sigalgs?.split(':')).toEqual(sigalgs)
  })

  test.each<readonly [string, Partial<Preset>]>([
    // TLS has no scheme with MD5.
    ...SIGNATURE_ALGORITHMS.filter(name => !name.startsWith('md5')).map(
      (name): readonly [string, Partial<Preset>] => [name, { signatureAlgorithms: [name] }],
    ),
    ...Object.entries(PRESETS),
  ])('OpenSSL knows the offer of %s', (_, changes) => {
    const { keyTypes = null, signatureAlgorithms = null } = changes
    const { sigalgs } = clientHelloOf(limits({ keyTypes, signatureAlgorithms }))
    if (keyTypes || signatureAlgorithms) expect(sigalgs).toMatch(/\w/)
    expect(() => createSecureContext({ ...(sigalgs ? { sigalgs } : {}) })).not.toThrow()
  })
})
