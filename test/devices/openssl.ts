/** What the `openssl` command says about a chain, at any instant. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface OpensslQuestion {
  readonly chainPem: string
  readonly rootsPem: string
  readonly domain: string
  readonly at: number
  /** All that RFC 5280 wants; true unless told otherwise. */
  readonly strict?: boolean
  /** Any certificate among the roots is trusted, not only one that signed itself. */
  readonly partial?: boolean
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g

/** True: it verifies, strictly and for a TLS server; else what openssl says. */
export async function opensslVerifies(question: OpensslQuestion): Promise<true | string> {
  const folder = await mkdtemp(join(tmpdir(), 'iotda-cert-openssl-'))
  try {
    const [leaf = '', ...others] = question.chainPem.match(CERTIFICATE) ?? []
    const files = { leaf, roots: question.rootsPem, others: others.join('\n') }
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
    await run('openssl', [
      'verify',
      ...(question.strict === false ? [] : ['-x509_strict']),
      ...(question.partial ? ['-partial_chain'] : []),
      ...['-auth_level', '1', '-purpose', 'sslserver'],
      ...['-attime', String(Math.floor(question.at / 1_000)), '-verify_hostname', question.domain],
      ...['-no-CApath', '-no-CAstore', '-CAfile', join(folder, 'roots')],
      ...(others.length > 0 ? ['-untrusted', join(folder, 'others')] : []),
      join(folder, 'leaf'),
    ])
    return true
  } catch (thrown) {
    const { code, stderr } = thrown as { code?: unknown; stderr?: string }
    if (code === 'ENOENT')
      throw new Error('the command `openssl` is not there: install it; this comparison is not left out')
    return stderr ?? String(thrown)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
