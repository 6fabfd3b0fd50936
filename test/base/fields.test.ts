import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import {
  durationField,
  isLoopbackUrl,
  isReference,
  nameField,
  pemField,
  portField,
  propagationField,
  secretField,
  serverField,
  urlField,
} from '../../lib/base/fields.ts'

const accepts = (schema: v.GenericSchema, value: unknown): boolean => v.safeParse(schema, value).success
const messages = (schema: v.GenericSchema, value: unknown): readonly string[] =>
  v.safeParse(schema, value).issues?.map(issue => issue.message) ?? []

describe('references', () => {
  test.each([
    ['env:NAME', 'env', 'NAME'],
    ['file:/run/secrets/key', 'file', '/run/secrets/key'],
    ['awssm:arn:aws:x', 'awssm', 'arn:aws:x'],
    ['csms:name', 'csms', 'name'],
    ['hunter2', 'literal', 'hunter2'],
    ['vault:x', 'literal', 'vault:x'],
    ['env:', 'literal', 'env:'],
  ])('%s', (text, scheme, value) => {
    const parsed: unknown = v.parse(secretField(), text)
    expect(parsed).toEqual({ reference: true, secret: true, scheme, value })
    expect(isReference(parsed)).toBe(true)
  })

  test('a secret must be some text', () => {
    expect(accepts(secretField(), '')).toBe(false)
    expect(messages(secretField(), 5)).toEqual(['must be a secret reference such as env:NAME or file:PATH'])
  })

  test('a PEM text stands in place or elsewhere, and is no secret', () => {
    const pem = '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n'
    expect(v.parse(pemField(), pem)).toEqual({
      reference: true,
      secret: false,
      scheme: 'literal',
      value: pem,
    })
    expect(v.parse(pemField(), 'file:ca.pem')).toMatchObject({
      scheme: 'file',
      value: 'ca.pem',
      secret: false,
    })
    expect(messages(pemField(), 'ca.pem')).toEqual(['must be PEM text or file:PATH'])
  })

  test.each([[null], ['env:A'], [{ reference: false }], [undefined]])('%j is none', value => {
    expect(isReference(value)).toBe(false)
  })
})

describe('urls', () => {
  test.each([
    ['https://example.com/a?b=c', true],
    ['http://127.0.0.1:8080/', true],
    ['http://127.9.9.9/', true],
    ['http://localhost/', true],
    ['http://[::1]:1/', true],
    ['http://example.com/', false],
    ['http://127.0.0.1.example.com/', false],
    ['http://localhost.example.com/', false],
    ['ftp://127.0.0.1/', false],
    ['file:///etc/passwd', false],
    ['https://user:password@example.com/', false],
    ['example.com', false],
    ['', false],
  ])('%s', (url, expected) => {
    expect(accepts(urlField(), url)).toBe(expected)
  })

  test('say one thing that is wrong, not several', () => {
    expect(messages(urlField(), 'example')).toEqual(['must be a URL such as https://host/path'])
    expect(messages(urlField(), 'http://example.com')).toEqual([
      'must be https (http is allowed to loopback only)',
    ])
  })

  test('isLoopbackUrl is false for what is no URL', () => {
    expect(isLoopbackUrl('localhost')).toBe(false)
    expect(isLoopbackUrl('https://127.0.0.1/')).toBe(true)
  })
})

describe('other fields', () => {
  test('a duration is milliseconds afterwards, with a limit', () => {
    expect(v.parse(durationField(), '90s')).toBe(90_000)
    expect(messages(durationField(), '90')).toEqual(['must be a duration such as 30d, 6h or 90s'])
    expect(messages(durationField(1000), '2s')).toEqual(['is too long'])
  })

  test.each([
    ['a', true],
    ['Factory-1_b.c', true],
    ['-a', false],
    ['a b', false],
    ['a/b', false],
    ['', false],
  ])('the name %j', (name, expected) => {
    expect(accepts(nameField(), name)).toBe(expected)
  })

  test.each([
    [1, true],
    [65535, true],
    [0, false],
    [65536, false],
    [1.5, false],
    ['53', false],
  ])('the port %j', (port, expected) => {
    expect(accepts(portField(), port)).toBe(expected)
  })

  test.each([
    ['ns1.example.com', true],
    ['192.0.2.1:53', true],
    ['[2001:db8::1]:5353', true],
    ['2001:db8::1', false],
    ['host:port', false],
    ['host/path', false],
  ])('the server %s', (server, expected) => {
    expect(accepts(serverField(), server)).toBe(expected)
  })

  test('propagation has a default for everything', () => {
    const defaults = {
      check: 'authoritative',
      resolvers: [],
      caCertificates: null,
      nameservers: [],
      port: 53,
      withinMs: 180_000,
      everyMs: 2000,
      settleMs: 0,
    }
    expect(v.parse(propagationField(), undefined)).toEqual(defaults)
    expect(v.parse(propagationField(), { within: '1m', port: 5353 })).toEqual({
      ...defaults,
      withinMs: 60_000,
      port: 5353,
    })
    expect(accepts(propagationField(), { withn: '1m' })).toBe(false)
  })

  test.each([
    ['authoritative', 0],
    ['https', 10_000],
    ['provider', 60_000],
  ])('what is known by %s is waited for a last time', (check, settleMs) => {
    const resolvers = check === 'https' ? ['https://dns.example/dns-query'] : []
    expect(v.parse(propagationField(), { check, resolvers })).toMatchObject({ check, resolvers, settleMs })
    expect(v.parse(propagationField(), { check, resolvers, settle: '3s' }).settleMs).toBe(3_000)
  })

  const URL = 'https://dns.example/dns-query'
  test.each([
    [{ check: 'https' }, false],
    [{ check: 'https', resolvers: [URL, 'http://127.0.0.1:5353/q'] }, true],
    [{ check: 'https', resolvers: [URL, '192.0.2.1'] }, false],
    [{ check: 'https', resolvers: [URL], nameservers: ['ns1.example.com'] }, false],
    [{ check: 'provider' }, true],
    [{ check: 'provider', resolvers: [URL] }, true],
    [{ check: 'provider', nameservers: ['ns1.example.com'] }, false],
    [{ resolvers: ['192.0.2.1', '[2001:db8::1]:53'], nameservers: ['ns1.example.com'] }, true],
    [{ resolvers: [URL] }, true],
    [{ resolvers: [URL, '192.0.2.1'] }, false],
    [{ resolvers: ['http://dns.example/dns-query'] }, false],
    [{ resolvers: ['ftp://dns.example/'] }, false],
    [{ check: 'dns' }, false],
  ])('propagation %j: %s', (value, expected) => {
    expect(accepts(propagationField(), value)).toBe(expected)
  })
})
