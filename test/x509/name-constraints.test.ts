import { describe, expect, test } from 'vitest'
import { build, verify } from '../support/chain.ts'
import {
  basic,
  caExtensions,
  constraints,
  der,
  digitalSignature,
  dnsName,
  extended,
  extension,
  leafExtensions,
  SERVER_AUTH,
  usage,
} from '../support/issue.ts'

describe('name constraints', () => {
  const organization = (name: string, tag = 0x0c) =>
    der(0xa4, der(0x30, der(0x31, der(0x30, der(0x06, Buffer.from('55040a', 'hex')), der(tag, name)))))

  const cases: readonly [string, Uint8Array[], Uint8Array[], string[], string, boolean][] = [
    ['the permitted name', [dnsName('iot.example.com')], [], ['iot.example.com'], 'CN=l', true],
    ['a name below it, in other case', [dnsName('example.com')], [], ['IOT.Example.com'], 'CN=l', true],
    ['a name that only ends alike', [dnsName('example.com')], [], ['notexample.com'], 'CN=l', false],
    ['one of two outside', [dnsName('example.com')], [], ['a.example.com', 'a.test'], 'CN=l', false],
    ['below a leading dot', [dnsName('.example.com')], [], ['a.example.com'], 'CN=l', true],
    ['the bare name of a leading dot', [dnsName('.example.com')], [], ['example.com'], 'CN=l', false],
    ['anything below the empty name', [dnsName('')], [], ['a.test'], 'CN=l', true],
    ['an excluded name', [], [dnsName('example.com')], ['a.example.com'], 'CN=l', false],
    ['beside an excluded name', [], [dnsName('bad.example.com')], ['a.example.com'], 'CN=l', true],
    ['a wildcard over an excluded name', [], [dnsName('bad.example.com')], ['*.example.com'], 'CN=l', false],
    ['a permitted organization', [organization('Acme')], [], ['a.test'], 'O=acme,CN=l', true],
    ['the same in another string type', [organization('Acme', 0x13)], [], ['a.test'], 'O=Acme,CN=l', true],
    ['another organization', [organization('Acme')], [], ['a.test'], 'O=Evil,CN=l', false],
    ['an excluded organization', [], [organization('Acme')], ['a.test'], 'O=Acme,CN=l', false],
    ['constraints on addresses only', [der(0x87, Buffer.alloc(8))], [], ['a.test'], 'CN=l', true],
  ]

  test.each(cases)('%s', async (_, permitted, excluded, dns, subject, ok) => {
    const { root, middle, leaf } = await build({
      middle: { extensions: [...caExtensions(), constraints(permitted, excluded)] },
      leaf: { subject, extensions: leafExtensions(...dns) },
    })
    const result = verify([leaf, middle], [root])
    expect(result.ok ? 'ok' : result.code).toBe(ok ? 'ok' : 'name-constraints')
  })

  test('of the root bind the leaf, too', async () => {
    const { root, middle, leaf } = await build({
      root: { extensions: [...caExtensions(), constraints([dnsName('example.org')])] },
    })
    expect(verify([leaf, middle], [root])).toMatchObject({
      ok: false,
      code: 'name-constraints',
      message: '"CN=Root" does not allow the name iot.example.com in "CN=Leaf"',
    })
  })

  test.each([
    ['of another version of IP', Buffer.alloc(32), false],
    ['that holds it', Buffer.from([10, 0, 0, 0, 255, 0, 0, 0]), true],
    ['that does not', Buffer.from([10, 1, 0, 0, 255, 255, 0, 0]), false],
    ['of all', Buffer.alloc(8), true],
  ])('on addresses: a network %s', async (_, network, isAllowed) => {
    const address = extension(
      '2.5.29.17',
      der(0x30, dnsName('a.test'), der(0x87, Buffer.from([10, 0, 0, 1]))),
    )
    const { root, middle, leaf } = await build({
      middle: { extensions: [...caExtensions(), constraints([der(0x87, network)])] },
      leaf: { extensions: [basic(false), usage(digitalSignature), extended(SERVER_AUTH), address] },
    })
    expect(verify([leaf, middle], [root])).toMatchObject(
      isAllowed ? { ok: true } : { ok: false, code: 'name-constraints' },
    )
  })
})
