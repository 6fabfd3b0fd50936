import { describe, expect, test } from 'vitest'
import { verifyPath } from '../../lib/x509/path.ts'
import { LIFE, verify } from '../support/chain.ts'
import {
  caExtensions,
  issue,
  leafExtensions,
  NOW,
  newKeys,
  newRsaKeys,
  signedWithMd5,
} from '../support/issue.ts'

describe('a chain', () => {
  test('may have a root that signed itself with SHA-1', async () => {
    const keys = await newRsaKeys()
    const sha1 = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-1' }
    const root = await issue({ subject: 'CN=Root', keys, signing: sha1, ...LIFE, extensions: caExtensions() })
    const leaf = await issue({
      issuer: root,
      signing: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
      extensions: leafExtensions('a.example'),
    })
    expect(verify([leaf], [root]).ok).toBe(true)
  })

  test('may be signed with RSASSA-PSS and SHA-256', async () => {
    const pss = { name: 'RSA-PSS', hash: 'SHA-256', saltLength: 32 } as const
    const keys = await newKeys({
      ...pss,
      modulusLength: 2048,
      publicExponent: new Uint8Array([1, 0, 1]),
    } as never)
    const root = await issue({ keys, signing: pss, ...LIFE, subject: 'CN=Root', extensions: caExtensions() })
    const leaf = await issue({ issuer: root, signing: pss, extensions: leafExtensions('a.example') })
    expect(verify([leaf], [root]).ok).toBe(true)
  })

  test('signed with MD5', async () => {
    const root = await issue({
      subject: 'CN=Root',
      keys: await newRsaKeys(),
      ...LIFE,
      extensions: caExtensions(),
    })
    const leaf = await issue({ subject: 'CN=Leaf', issuer: root, extensions: leafExtensions('a.example') })
    const md5 = await signedWithMd5(leaf, root)
    expect(md5.verify(root.certificate.publicKey)).toBe(true)
    expect(verifyPath({ chain: [md5], roots: [root.certificate], at: NOW })).toMatchObject({
      ok: false,
      code: 'weak-signature',
    })
  })

  test('signed with RSASSA-PSS and SHA-1', async () => {
    const pss = { name: 'RSA-PSS', hash: 'SHA-1', saltLength: 20 } as const
    const keys = await newKeys({
      ...pss,
      modulusLength: 2048,
      publicExponent: new Uint8Array([1, 0, 1]),
    } as never)
    const root = await issue({ keys, signing: pss, ...LIFE, subject: 'CN=Root', extensions: caExtensions() })
    const leaf = await issue({ issuer: root, signing: pss, extensions: leafExtensions('a.example') })
    expect(verify([leaf], [root])).toMatchObject({ ok: false, code: 'weak-signature' })
  })
})
