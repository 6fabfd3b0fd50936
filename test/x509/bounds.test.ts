import { describe, expect, test } from 'vitest'
import { RotationError } from '../../lib/base/rotation-error.ts'
import { readLeaf } from '../../lib/rotation/observe/inspect.ts'
import { parseCertificates, parseChain, tlvs } from '../../lib/x509/certificate.ts'
import { parseRoots } from '../../lib/x509/path.ts'
import { extraneousIn } from '../../lib/x509/sent.ts'
import { isSignedBy, openBudget } from '../../lib/x509/signed-by.ts'
import { build, ca, verify } from '../support/chain.ts'
import { caExtensions, constraints, dnsName, issue, leafExtensions, newKeys } from '../support/issue.ts'

const many = (count: number, of: string) => Array.from({ length: count }, (_, i) => `${i}.${of}`)
const pemOf = (...all: readonly { readonly certificate: { toString(): string } }[]) =>
  all.map(({ certificate }) => certificate.toString()).join('')
const thrownBy = (work: () => unknown): RotationError => {
  try {
    work()
  } catch (thrown) {
    return thrown as RotationError
  }
  throw new Error('nothing was thrown')
}

const UNKEYED = { extensions: leafExtensions('a.example'), identifiers: false }

describe('a chain that is too large', () => {
  test('in characters is refused before anything is read', () => {
    const error = thrownBy(() => parseChain('-----BEGIN CERTIFICATE-----\n'.padEnd(65_536, '!')))
    expect(error).toBeInstanceOf(RotationError)
    expect(error.message).toBe('the chain has 65536 characters, more than the 65535 that IoTDA takes')
    expect(error.hint).toMatch(/few intermediates/)
  })

  test('in certificates is refused before anything is read', () => {
    const block = '-----BEGIN CERTIFICATE-----\nno base64!\n-----END CERTIFICATE-----\n'
    expect(thrownBy(() => parseChain(block.repeat(21))).message).toBe(
      'the chain has 21 certificates, more than 20',
    )
    expect(thrownBy(() => parseChain(block.repeat(20))).message).toMatch(/block 1 .* not base64/)
  })

  test('in a slot of IoTDA is a certificate that cannot be read', async () => {
    const { leaf } = await build()
    expect(readLeaf(pemOf(leaf))?.subject).toBe('CN=Leaf')
    expect(readLeaf(pemOf(...Array.from({ length: 21 }, () => leaf)))).toBeNull()
  })

  test('is no matter of roots, which the settings name', async () => {
    const root = await ca('Root')
    expect(parseRoots(pemOf(...Array.from({ length: 200 }, () => root)))).toHaveLength(200)
  })

  test('is refused by whoever judges paths, however it got there', async () => {
    const { root, middle, leaf } = await build()
    const sent = [leaf, ...Array.from({ length: 20 }, () => middle)]
    expect(verify(sent, [root])).toMatchObject({
      ok: false,
      code: 'too-large',
      message: 'there are 21 certificates, more than 20; send fewer',
    })
  })
})

describe('names and constraints', () => {
  const bomb = async () => {
    const trees = many(600, 'bad.example').map(dnsName)
    const root = await ca('Root')
    const middle = await ca('Middle', {
      issuer: root,
      extensions: [...caExtensions(0), constraints([], trees)],
    })
    const extensions = leafExtensions(...many(600, 'good.example'))
    const leaf = await issue({ subject: 'CN=Leaf', issuer: middle, extensions })
    return { root, middle, leaf }
  }

  test('of a stranger are not compared: nobody trusts the chain', async () => {
    const { root, middle, leaf } = await build({
      middle: { extensions: [...caExtensions(), constraints([dnsName('example.org')])] },
    })
    expect(verify([leaf, middle], [root])).toMatchObject({ ok: false, code: 'name-constraints' })
    expect(verify([leaf, middle], [await ca('Other')])).toMatchObject({ ok: false, code: 'incomplete' })
  })

  test('of a CA whose signature is none are not compared', async () => {
    const { root } = await build()
    const extensions = [...caExtensions(0), constraints([dnsName('example.org')])]
    const limited = { issuer: root, extensions, identifiers: false }
    const [middle, twin] = [await ca('Middle', limited), await ca('Middle', limited)]
    const leaf = await issue({ subject: 'CN=Leaf', issuer: twin, ...UNKEYED })
    expect(verify([leaf, middle], [root])).toMatchObject({ ok: false, code: 'signature' })
  })

  test('of a trusted CA are compared 250,000 times at most, whatever they come to', async () => {
    const { root, middle, leaf } = await bomb()
    expect(verify([leaf, middle], [root])).toMatchObject({
      ok: false,
      code: 'too-large',
      message: expect.stringMatching(/360600 times, which clients refuse; have it issued with fewer$/),
    })
  })
})

describe('signature checks', () => {
  test('are a hundred for one judgement', async () => {
    const { middle, leaf } = await build()
    const budget = openBudget()
    const verdicts = Array.from({ length: 101 }, () =>
      isSignedBy(leaf.certificate, middle.certificate, budget),
    )
    expect(verdicts.filter(Boolean)).toHaveLength(100)
    expect(verdicts.at(-1)).toBe(false)
  })

  test('against roots of one name end with a message of their number', async () => {
    const leaf = await issue({ issuer: await ca('Root'), ...UNKEYED })
    const keys = await newKeys()
    const made = Array.from({ length: 101 }, (_, i) => ca('Root', { keys, serial: `01${1000 + i}` }))
    const twins = await Promise.all(made)
    expect(verify([leaf], twins.slice(1))).toMatchObject({ ok: false, code: 'incomplete' })
    expect(verify([leaf], twins)).toMatchObject({ ok: false, code: 'too-large' })
  })

  test('of strays end with the stray', async () => {
    const root = await ca('Root')
    const keys = await newKeys()
    const made = Array.from({ length: 100 }, (_, i) => ca('Root', { keys, serial: `01${1000 + i}` }))
    const twins = (await Promise.all(made)).map(({ certificate }) => certificate)
    const leaf = await issue({ issuer: root, ...UNKEYED })
    const middle = await ca('Middle', { issuer: root, identifiers: false })
    const chain = [leaf.certificate, middle.certificate]
    expect(extraneousIn(chain, [...twins.slice(1), root.certificate])).toBeNull()
    expect(extraneousIn(chain, [...twins, root.certificate])?.subject).toBe('CN=Middle')
  })
})

describe('reading', () => {
  test('of elements without end ends', () => {
    expect(tlvs(Buffer.from('0500'.repeat(32_768), 'hex'))).toHaveLength(32_768)
    expect(thrownBy(() => tlvs(Buffer.from('0500'.repeat(32_769), 'hex')))).toMatchObject({
      code: 'certificate-invalid',
    })
  })

  test('the same text again costs nothing: it is the same certificates', async () => {
    const { middle, leaf } = await build()
    const pem = pemOf(leaf, middle)
    expect(parseChain(`${pem.slice(0, 10)}${pem.slice(10)}`)).toBe(parseChain(pem))
    expect(parseRoots(null)).toBe(parseRoots(null))
  })

  test('keeps no more than a few texts', async () => {
    const { leaf } = await build()
    const first = parseCertificates(pemOf(leaf))
    for (let i = 0; i < 64; i += 1) parseCertificates(`${i}\n${pemOf(leaf)}`)
    expect(parseCertificates(pemOf(leaf))).not.toBe(first)
  })
})
