/** What devices would notice of a chain, and what they would not. */
import { expect, test } from 'vitest'
import { differences, kindOf } from '../../lib/devices/kind.ts'
import { build, ca } from '../support/chain.ts'
import { caExtensions, issue, leafExtensions, newRsaKeys } from '../support/issue.ts'

const leafBy = (issuer: Awaited<ReturnType<typeof ca>>, subject = 'CN=Leaf') =>
  issue({ subject, issuer, extensions: leafExtensions('iot.example.com') })
const pemOf = (...chain: readonly { readonly pem: string }[]): string => chain.map(({ pem }) => pem).join('')

test('a renewal by another intermediate of the same root is of the same kind', async () => {
  const { root, middle, leaf } = await build()
  const other = await ca('Another Middle', { issuer: root, extensions: caExtensions(0) })
  const renewed = await leafBy(other)
  expect(kindOf(pemOf(renewed, other))).toEqual(kindOf(pemOf(leaf, middle)))
})

test('another root is another kind, and said so', async () => {
  const { middle, leaf } = await build()
  const root = await ca('Root YR')
  const other = await ca('Another Middle', { issuer: root, extensions: caExtensions(0) })
  const [before, after] = [kindOf(pemOf(leaf, middle)), kindOf(pemOf(await leafBy(other), other))]
  expect(after.id).not.toBe(before.id)
  expect(differences(before, after)).toEqual(['root Root YR instead of Root'])
})

test('a newer root that an older one vouches for counts beside it', async () => {
  const old = await ca('Old Root')
  const root = await ca('New Root', { issuer: old })
  const middle = await ca('Middle', { issuer: root, extensions: caExtensions(0) })
  const kind = kindOf(pemOf(await leafBy(middle), middle, root))
  expect(kind.roots).toEqual(['New Root', 'Old Root'])
  expect(kind.levels).toHaveLength(3)
})

test('key type, length and common name are told apart', async () => {
  const { root, middle, leaf } = await build()
  const before = kindOf(pemOf(leaf, middle))
  const rsa = await issue({
    ...{ subject: 'CN=Leaf', issuer: middle, keys: await newRsaKeys() },
    extensions: leafExtensions('iot.example.com'),
  })
  expect(differences(before, kindOf(pemOf(rsa, middle)))).toEqual([
    'keys rsa-2048 < ec-256 instead of ec-256 < ec-256',
  ])
  expect(differences(before, kindOf(pemOf(leaf, middle, root)))).toContain('chain of 3 instead of 2')
  const nameless = await leafBy(middle, '')
  expect(differences(before, kindOf(pemOf(nameless, middle)))).toEqual([
    'leaf with no common name instead of a common name',
  ])
})

test('a certificate that targets share is a kind of its own each time', async () => {
  const { middle, leaf } = await build()
  const renewed = await leafBy(middle)
  const [before, after] = [kindOf(pemOf(leaf, middle), true), kindOf(pemOf(renewed, middle), true)]
  expect(after.id).not.toBe(before.id)
  expect(differences(before, after)).toEqual(['a certificate that several targets share'])
})

test('roots with names of kilobytes fill no document, and are told apart all the same', async () => {
  const long = 'x'.repeat(2_000)
  const [one, other] = await Promise.all(
    ['1', '2'].map(async end => {
      const root = await ca(`Root ${long}${end}`)
      const middle = await ca('Middle', { issuer: root, extensions: caExtensions(0) })
      return kindOf(pemOf(await leafBy(middle), middle))
    }),
  )
  expect(one?.id).not.toBe(other?.id)
  expect(JSON.stringify([one, other]).length).toBeLessThan(1_000)
})
