/** step-ca, Smallstep's CA, with one ACME provisioner on a free port of loopback. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createIntermediate, createRoot } from '../../sandbox/kit/pki.ts'
import { freePorts, start, stop } from './server-process.ts'

const VERSION = 'v0.30.2'
/** For `goProgram` of strangers.ts. */
export const STEP_CA = {
  version: VERSION,
  module: `github.com/smallstep/certificates/cmd/step-ca@${VERSION}`,
}

export interface StepCa {
  readonly directoryUrl: string
  /** The root of its HTTPS and of what it issues. */
  readonly caPem: string
  dispose(): Promise<void>
}

const isUp = (url: string, ca: string): Promise<void> =>
  new Promise((resolve, reject) => {
    request(url, { ca, agent: false }, response => {
      response.resume()
      response.on('end', () => (response.statusCode === 200 ? resolve() : reject(new Error('not yet'))))
    })
      .on('error', reject)
      .end()
  })

/** Starts it; it asks `resolver` (`host:port`) for TXT records. */
export async function startStepCa(program: string, resolver: string): Promise<StepCa> {
  const folder = await mkdtemp(join(tmpdir(), 'step-ca-'))
  const root = await createRoot({ commonName: 'Step Root' })
  const issuer = await createIntermediate({ issuer: root, commonName: 'Step Intermediate' })
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(folder, name), text)
    return join(folder, name)
  }
  const [port] = await freePorts(1)
  const address = `127.0.0.1:${port}`
  const settings = {
    root: await file('root.pem', root.certPem),
    crt: await file('issuer.pem', issuer.certPem),
    key: await file('issuer.key', issuer.keyPem),
    address,
    dnsNames: ['127.0.0.1'],
    logger: { format: 'text' },
    db: { type: 'bbolt', dataSource: join(folder, 'db') },
    authority: { provisioners: [{ type: 'ACME', name: 'acme', challenges: ['dns-01'] }] },
  }
  const config = await file('ca.json', JSON.stringify(settings))
  const { child, ready } = start(program, [config, '--resolver', resolver], {
    PATH: process.env.PATH,
    HOME: folder,
  })
  const dispose = async (): Promise<void> => {
    await stop(child)
    await rm(folder, { recursive: true, force: true })
  }
  const directoryUrl = `https://${address}/acme/acme/directory`
  try {
    await ready(() => isUp(directoryUrl, root.certPem))
  } catch (error) {
    await dispose()
    throw error
  }
  return { directoryUrl, caPem: root.certPem, dispose }
}
