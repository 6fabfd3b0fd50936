import { describe, expect, test } from 'vitest'
import { verifyPath } from '../../lib/x509/path.ts'
import { ca, verify } from '../support/chain.ts'
import { issue, leafExtensions, NOW, newKeys, newRsaKeys, signedWithMd5 } from '../support/issue.ts'

describe('a chain', () => {
  test('may have a root that signed itself with SHA-1', async () => {
    const keys = await newRsaKeys()
    const sha1 = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-1' }
    const root = await ca('Root', { keys, signing: sha1 })
    const leaf = await issue({
      issuer: root,
      signing: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
      extensions: leafExtensions('a.example'),
    })
    expect(verify([leaf], [root]).ok).toBe(true)
  })

  test('signed with MD5', async () => {
    const root = await ca('Root', { keys: await newRsaKeys() })
    const leaf = await issue({ subject: 'CN=Leaf', issuer: root, extensions: leafExtensions('a.example') })
    const md5 = await signedWithMd5(leaf, root)
    expect(md5.verify(root.certificate.publicKey)).toBe(true)
    expect(verifyPath({ chain: [md5], roots: [root.certificate], at: NOW })).toMatchObject({
      ok: false,
      code: 'weak-signature',
    })
  })

  test.each([
    ['SHA-256', 32, { ok: true }],
    ['SHA-1', 20, { ok: false, code: 'weak-signature' }],
  ])('signed with RSASSA-PSS and %s', async (hash, saltLength, expected) => {
    const pss = { name: 'RSA-PSS', hash, saltLength }
    const algorithm = { ...pss, modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) }
    const root = await ca('Root', { keys: await newKeys(algorithm as never), signing: pss })
    const leaf = await issue({ issuer: root, signing: pss, extensions: leafExtensions('a.example') })
    expect(verify([leaf], [root])).toMatchObject(expected)
  })
})
