import { createHash, X509Certificate } from 'node:crypto'
import { rootCertificates } from 'node:tls'
import * as x509 from '@peculiar/x509'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RotationError } from '../../lib/base/rotation-error.ts'
import { certId, covers, leafOf, normalizePem, parseChain } from '../../lib/x509/certificate.ts'
import { DAY_MS, der, dnsName, extension, issue, NOW, names, newKeys, newRsaKeys } from '../support/issue.ts'

const roots = rootCertificates.slice(0, 5).map(pem => new X509Certificate(pem))
const [first, second] = rootCertificates as unknown as [string, string]
const fingerprints = (certificates: readonly X509Certificate[]) =>
  certificates.map(({ fingerprint256 }) => fingerprint256)

const failure = (pem: string): RotationError => {
  try {
    parseChain(pem)
  } catch (thrown) {
    return thrown as RotationError
  }
  throw new Error('it was accepted')
}

describe('parseChain', () => {
  test('keeps the order of the blocks', () => {
    expect(fingerprints(parseChain(normalizePem([...roots].reverse())))).toEqual(
      fingerprints([...roots].reverse()),
    )
  })

  const variants: readonly [string, (pem: string) => string][] = [
    ['CRLF', pem => pem.replaceAll('\n', '\r\n')],
    ['CR', pem => pem.replaceAll('\n', '\r')],
    ['a byte order mark', pem => `\uFEFF${pem}`],
    ['indentation', pem => pem.replaceAll('\n', '\n    ')],
    ['blank lines', pem => pem.replaceAll('\n', '\n\n')],
    ['no final line end', pem => pem.trimEnd()],
    [
      'text around the blocks',
      pem => `subject=a -- b\n${pem.replaceAll(/(-----END [^\n]+)/g, '$1\nissuer: x')}`,
    ],
    ['lines of another length', pem => pem.replaceAll(/([A-Za-z0-9+/]{20})/g, '$1\n')],
  ]
  test.each(variants)('tolerates %s', (_, change) => {
    expect(fingerprints(parseChain(change(normalizePem(roots))))).toEqual(fingerprints(roots))
  })

  test('tolerates any text without dashes between blocks, and any line ends', () => {
    const between = fc.string({ unit: 'grapheme', maxLength: 40 }).map(text => text.replaceAll('-', ''))
    fc.assert(
      fc.property(
        fc.array(between, { minLength: 6, maxLength: 6 }),
        fc.constantFrom('\n', '\r\n'),
        (texts, end) => {
          const pem =
            roots.map((root, index) => `${texts[index]}\n${normalizePem([root])}`).join('') + texts[5]
          expect(fingerprints(parseChain(pem.replaceAll('\n', end)))).toEqual(fingerprints(roots))
        },
      ),
      { numRuns: 50 },
    )
  })

  test('throws a RotationError or gives certificates, whatever it reads', () => {
    const mutation = fc.tuple(fc.nat(first.length), fc.nat(60), fc.string({ unit: 'binary', maxLength: 20 }))
    fc.assert(
      fc.property(mutation, ([at, length, put]) => {
        const pem = `${first.slice(0, at)}${put}${first.slice(at + length)}`
        try {
          expect(parseChain(pem).length).toBeGreaterThan(0)
        } catch (thrown) {
          expect(thrown).toMatchObject({ name: 'RotationError', code: 'certificate-invalid' })
        }
      }),
    )
  })

  const broken = second.replace('MII', 'MIJ')
  const unfinished = `${second.split('-----END')[0]}`
  const bad: readonly [string, string, RegExp][] = [
    ['nothing', '', /no certificate/],
    ['no block', 'hello', /no certificate/],
    ['a broken second certificate', `${first}\n${broken}`, /block 2 .*no certificate that can be read/],
    ['characters outside base64', `${first}\n${second.replace('MII', 'M*I')}`, /block 2 .*base64/],
    ['an empty block', '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----', /block 1 .*base64/],
    ['a block without end', `${first}\n${unfinished}`, /block 2 .*no end/],
    ['a block without end in between', `${unfinished}\n${first}`, /block 1 .*no end/],
    ['an end without beginning', `-----END CERTIFICATE-----\n${first}`, /block 1 .*no beginning/],
    ['a request', first.replaceAll('CERTIFICATE', 'CERTIFICATE REQUEST'), /block 1 .*no CERTIFICATE/],
    [
      'bytes after the certificate',
      `-----BEGIN CERTIFICATE-----\n${Buffer.concat([(roots[0] as X509Certificate).raw, Buffer.from([5, 0])]).toString('base64')}\n-----END CERTIFICATE-----\n`,
      /block 1 .*bytes after/,
    ],
  ]
  test.each(bad)('refuses %s', (_, pem, message) => {
    expect(failure(pem)).toMatchObject({
      code: 'certificate-invalid',
      message: expect.stringMatching(message),
    })
  })

  test.each(['PRIVATE KEY', 'RSA PRIVATE KEY', 'ENCRYPTED PRIVATE KEY'])(
    'refuses a %s and does not show it',
    label => {
      const key = `-----BEGIN ${label}-----\nY2FuYXJ5\n-----END ${label}-----\n`
      for (const pem of [first + key, key + first, `${first}-----BEGIN ${label}-----\nY2FuYXJ5`]) {
        const error = failure(pem)
        expect(error.message).toMatch(/private key/)
        expect(`${error.message}${error.hint}${error.stack}${error.cause}`).not.toContain('Y2FuYXJ5')
      }
    },
  )
})

describe('leafOf', () => {
  test('describes a certificate', async () => {
    const made = await issue({
      subject: 'C=US, O=Acme\\, Inc., CN=Küche',
      serial: '00a1b2c3',
      notBefore: NOW,
      notAfter: NOW + 90 * DAY_MS,
      extensions: [
        names('iot.example.com', '*.Example.ORG'),
        new x509.AuthorityInfoAccessExtension({
          caIssuers: ['http://ca.example/ca.cer'],
          ocsp: ['ldap://o.example', 'http://o.example/a'],
        }),
      ],
    })
    expect(leafOf(made.certificate)).toEqual({
      fingerprint: createHash('sha256').update(made.certificate.raw).digest('hex'),
      serial: 'a1b2c3',
      subject: 'C=US, O=Acme\\, Inc., CN=Küche',
      issuer: 'C=US, O=Acme\\, Inc., CN=Küche',
      names: ['iot.example.com', '*.example.org'],
      notBefore: NOW,
      notAfter: NOW + 90 * DAY_MS,
      keyType: 'ec-256',
      ocspUrl: 'http://o.example/a',
    })
  })

  test('takes names from DNS entries alone, whatever stands in them', async () => {
    const entries = [
      dnsName('a.example'),
      der(0x81, 'DNS:mail@example.com'),
      der(0x86, 'http://uri.example/, DNS:evil.example'),
      der(0x87, Buffer.from([10, 0, 0, 1])),
      dnsName('b.example, DNS:quoted.example'),
      dnsName('c.example\0.evil.example'),
    ]
    const { certificate } = await issue({ extensions: [extension('2.5.29.17', der(0x30, ...entries))] })
    expect(certificate.subjectAltName).toContain('"')
    expect(leafOf(certificate).names).toEqual([
      'a.example',
      'b.example, dns:quoted.example',
      'c.example\0.evil.example',
    ])
  })

  test('an empty subject, no names and no responder', async () => {
    const { certificate } = await issue({ subject: '', issuer: await issue({ subject: 'CN=ca' }) })
    expect(leafOf(certificate)).toMatchObject({ subject: '', issuer: 'CN=ca', names: [], ocspUrl: null })
  })

  test('a malformed subjectAltName is an error', async () => {
    const { certificate } = await issue({
      extensions: [extension('2.5.29.17', Buffer.from([0x30, 0x7f, 1]))],
    })
    expect(() => leafOf(certificate)).toThrow(expect.objectContaining({ code: 'certificate-invalid' }))
  })

  test.each([
    ['rsa-2048', () => newRsaKeys()],
    ['ec-384', () => newKeys({ name: 'ECDSA', namedCurve: 'P-384' } as never)],
    ['ec-521', () => newKeys({ name: 'ECDSA', namedCurve: 'P-521' } as never)],
    ['ed25519', () => newKeys({ name: 'Ed25519' })],
  ])('a key of type %s', async (keyType, make) => {
    const { certificate } = await issue({ keys: await make() })
    expect(leafOf(certificate).keyType).toBe(keyType)
  })

  test("every root of Node's list", () => {
    const leaves = rootCertificates.map(pem => leafOf(new X509Certificate(pem)))
    expect(leaves.every(({ notBefore, notAfter }) => notBefore < notAfter)).toBe(true)
    expect(new Set(leaves.map(({ fingerprint }) => fingerprint)).size).toBe(leaves.length)
  })
})

describe('normalizePem', () => {
  test('has line ends of one kind and no blank lines, and reads back the same', () => {
    const pem = normalizePem(roots)
    expect(pem).toMatch(
      /^(-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/]{64}\n)+([A-Za-z0-9+/]+={0,2}\n)?-----END CERTIFICATE-----\n){5}$/,
    )
    expect(normalizePem(parseChain(pem.replaceAll('\n', '\r\n\r\n')))).toBe(pem)
  })
})

describe('certId', () => {
  const keyIdentifier = Buffer.from('69885B6B87464041E1B37B847BA0AE2CDE01C8D4', 'hex')
  const identified = (critical: boolean, ...fields: Buffer[]) =>
    issue({
      serial: '0087654321',
      identifiers: false,
      extensions: [names('a.example'), extension('2.5.29.35', der(0x30, ...fields), critical)],
    })

  test('the vector of RFC 9773 section 4.1', async () => {
    const { certificate } = await identified(false, der(0x80, keyIdentifier))
    expect(certId(certificate)).toBe('aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE')
  })

  test('a critical extension and other fields change nothing', async () => {
    const other = [der(0xa1, der(0xa4, der(0x30))), der(0x82, Buffer.from([5]))]
    const { certificate } = await identified(true, der(0x80, keyIdentifier), ...other)
    expect(certId(certificate)).toBe('aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE')
  })

  test('a serial number without a sign byte', async () => {
    const extensions = [extension('2.5.29.35', der(0x30, der(0x80, keyIdentifier)))]
    const { certificate } = await issue({ serial: '0102', identifiers: false, extensions })
    expect(certId(certificate)).toBe('aYhba4dGQEHhs3uEe6CuLN4ByNQ.AQI')
  })

  test('null without a key identifier', async () => {
    expect(certId((await issue({ identifiers: false })).certificate)).toBeNull()
    expect(certId((await identified(false, der(0x82, Buffer.from([5])))).certificate)).toBeNull()
  })
})

describe('covers', () => {
  test.each([
    [['iot.example.com'], 'iot.example.com', true],
    [['IOT.example.com'], 'iot.EXAMPLE.com', true],
    [['a.test', 'iot.example.com'], 'iot.example.com', true],
    [['*.example.com'], 'iot.example.com', true],
    [['*.Example.com'], 'IOT.example.com', true],
    [['*.example.com'], '*.example.com', true],
    [['*.example.com'], 'example.com', false],
    [['*.example.com'], 'a.iot.example.com', false],
    [['*.example.com'], '.example.com', false],
    [['*'], 'com', false],
    [['*.com'], 'example.com', false],
    [['*.com'], '*.com', true],
    [['i*.example.com'], 'iot.example.com', false],
    [['example.com'], 'iot.example.com', false],
    [['iot.example.com\0.evil'], 'iot.example.com', false],
    [['iot.example.com'], '*.example.com', false],
    [[], 'iot.example.com', false],
  ] as const)('%j, %s: %s', (given, domain, expected) => {
    expect(covers(given, domain)).toBe(expected)
  })
})
