/** What is deployed: sizes, sameness, and what an idle check loads of it. Times are for bench/bundle.mjs. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { crc32 } from '../../deploy/zip.mjs'
import { type Built, buildAndPackage, sharedBuild } from '../support/built.ts'
import { openFunctionRig } from '../support/function-rig.ts'
import { entriesOf, unpack } from '../support/unzip.ts'

const run = promisify(execFile)
const KB = 1_024
const LICENCES = 'THIRD-PARTY.txt'
const NAMES = ['lambda', 'functiongraph', 'functiongraph-watch'] as const

let built: Built
beforeAll(async () => {
  built = await sharedBuild()
}, 120_000)

describe('the zips', () => {
  test.each([
    ['lambda', 480_000],
    ['functiongraph', 430_000],
    ['functiongraph-watch', 350_000],
  ] as const)('%s: at most %i bytes', async (name, atMost) => {
    expect((await stat(built.zip(name))).size).toBeLessThan(atMost)
  })

  test('hold what they should, readable for everybody, without a time', async () => {
    const lambda = entriesOf(await readFile(built.zip('lambda')))
    const graph = entriesOf(await readFile(built.zip('functiongraph')))
    const watch = entriesOf(await readFile(built.zip('functiongraph-watch')))
    for (const one of [graph, watch]) expect(one.map(it => it.name)).toEqual([LICENCES, 'index.js'])
    const names = lambda.map(it => it.name)
    expect(names).toContain('lambda.mjs')
    expect(names.filter(it => !/^((lambda|watch)\.mjs|chunks\/[\w.-]+\.mjs)$/.test(it))).toEqual([LICENCES])
    expect(names).toEqual(names.toSorted())
    for (const { crc, data, mode, time } of [...lambda, ...graph, ...watch]) {
      expect(crc32(data)).toBe(crc)
      expect(mode).toBe(0o100644)
      expect(time).toBe(0x0021_0000)
    }
    const text = [...lambda, ...graph, ...watch].map(it => it.data.toString()).join('\n')
    expect(text).not.toMatch(/CommanderError|"commander\.|_sandbox/)
  })

  test('source maps are beside them, one for each file', async () => {
    for (const name of NAMES) {
      const entries = entriesOf(await readFile(built.zip(name)))
      const files = entries.filter(it => it.name !== LICENCES).map(it => `${it.name}.map`)
      const maps = entriesOf(await readFile(built.zip(name).replace(/zip$/, 'maps.zip')))
      expect(maps.map(it => it.name)).toEqual(files)
      for (const { data } of maps) expect(JSON.parse(data.toString()).version).toBe(3)
    }
  })

  test.each([
    ['lambda', 'esm', ['undici', 'acme-client', 'pino', 'mqtt-packet', '@peculiar/x509', 'aws4']],
    ['functiongraph', 'cjs', ['undici', 'acme-client', 'pino', 'mqtt-packet', '@peculiar/x509', 'aws4']],
    ['functiongraph-watch', 'watch', ['undici', 'pino', '@peculiar/x509', 'aws4']],
  ] as const)('%s: has the licence of every package in it', async (name, build, some) => {
    const entries = entriesOf(await readFile(built.zip(name)))
    const text = entries.find(it => it.name === LICENCES)?.data.toString() ?? ''
    const { inputs } = JSON.parse(await readFile(join(built.folder, 'meta.json'), 'utf8'))[build]
    const packages = new Set<string>()
    for (const input of Object.keys(inputs))
      packages.add(/^(.*node_modules\/(@[^/]+\/)?[^/]+)\//.exec(input)?.[1] ?? '')
    // What the doors of a build share in one zip, or is for the command line, is not in another.
    const named = text.matchAll(/^(\S+) (\S+) \((MIT|ISC|0BSD|BSD-3-Clause|Apache-2\.0)\)$/gm)
    const found = [...named].map(([, it, version]) => `${it} ${version}`)
    const wanted = [...packages]
      .filter(it => it !== '' && !it.endsWith('/commander'))
      .map(it => JSON.parse(readFileSync(join(it, 'package.json'), 'utf8')))
      .map(it => `${it.name} ${it.version}`)
    expect(found.toSorted()).toEqual(wanted.toSorted())
    for (const it of some) expect(text).toContain(`\n${it} `)
    const [, ...parts] = text.split(`\n${'-'.repeat(80)}\n`)
    for (const part of parts) expect(part, part).toMatch(/copyright|licen[cs]e/i)
    for (const part of parts) expect(part.length, part).toBeGreaterThan(500)
  })

  test('two builds in two folders are the same, byte for byte, and name no folder', async () => {
    const again = await buildAndPackage()
    try {
      for (const name of NAMES) {
        const bytes = await readFile(built.zip(name))
        expect((await readFile(again.zip(name))).equals(bytes), name).toBe(true)
        for (const { data } of entriesOf(bytes)) expect(data.includes(process.cwd())).toBe(false)
      }
    } finally {
      await again.dispose()
    }
  }, 120_000)
})

/** Names and size of the files that V8 was given, by its own account. */
async function loadedFrom(folder: string): Promise<{ readonly names: string; readonly bytes: number }> {
  const [report = ''] = await readdir(folder)
  const { result } = JSON.parse(await readFile(join(folder, report), 'utf8')) as { result: { url: string }[] }
  const files = result
    .filter(it => it.url.startsWith('file:'))
    .map(it => fileURLToPath(it.url))
    .filter(it => basename(it) !== 'drive.mjs')
  const sizes = await Promise.all(files.map(async file => (await stat(file)).size))
  return { names: files.map(it => basename(it)).join(' '), bytes: sizes.reduce((sum, size) => sum + size, 0) }
}

/** Runs the handler of an unpacked zip once, for a schedule, and gives the outcome of the one target. */
async function openLambda(work: string) {
  const folder = await unpack(built.zip('lambda'))
  const script = `const { handler } = await import(${JSON.stringify(join(folder, 'lambda.mjs'))})
const context = { awsRequestId: 'a', getRemainingTimeInMillis: () => 900_000 }
const { results } = await handler({ source: 'aws.events' }, context)
process.stdout.write(results[0].outcome)`
  await writeFile(join(work, 'drive.mjs'), script)
  return async (config: string, more: Record<string, string> = {}) => {
    const env = { PATH: process.env.PATH, IOTDA_CERT_CONFIG: config, ...more }
    const { stdout } = await run(process.execPath, [join(work, 'drive.mjs')], { cwd: work, env })
    // Metrics come before it, a line each.
    return stdout.split('\n').at(-1)
  }
}

test('an idle check on Lambda loads at most 250 KB, and neither the logger nor ACME', async () => {
  const rig = await openFunctionRig(60)
  const work = await mkdtemp(join(tmpdir(), 'iotda-cert-idle-'))
  try {
    const drive = await openLambda(work)
    // The first run asks the CA when it wants a renewal.
    expect(await drive(rig.config())).toBe('idle')
    expect(await drive(rig.config(), { NODE_V8_COVERAGE: join(work, 'coverage') })).toBe('idle')
    const { names, bytes } = await loadedFrom(join(work, 'coverage'))
    expect(names).toMatch(/^lambda\.mjs chunk-/)
    expect(names.split(' ').length, names).toBeLessThan(6)
    expect(names).not.toMatch(
      /\b(pino|order|account|verify|preflight|renewal-info|page|publish|verdicts|tell)-/,
    )
    expect(bytes, names).toBeLessThan(250 * KB)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
})

test('on Lambda a CA behind a proxy is asked through a tunnel', async () => {
  const rig = await openFunctionRig(60)
  const work = await mkdtemp(join(tmpdir(), 'iotda-cert-proxy-'))
  const asked: (string | undefined)[] = []
  const proxy = createServer().on('connect', (request, client) => {
    asked.push(request.url)
    client.end('HTTP/1.1 503 Closed\r\nContent-Length: 0\r\n\r\n')
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  try {
    const { port } = proxy.address() as AddressInfo
    const env: Record<string, string> = { HTTPS_PROXY: `http://127.0.0.1:${port}` }
    // Where a host is not this machine, secrets may not stand in the settings.
    const hide = (entry: Record<string, unknown>, ...keys: readonly string[]): void => {
      for (const key of keys) {
        env[key] = String(entry[key])
        entry[key] = `env:${key}`
      }
    }
    const config = rig.config(({ sources, credentials, store }) => {
      sources.sandbox.directory = 'https://ca.example.com/directory'
      hide(credentials.cn, 'accessKey', 'secretKey')
      hide(store, 'accessKeyId', 'secretAccessKey', 'sessionToken', 'sealKey')
    })
    const drive = await openLambda(work)
    expect(await drive(config, env)).toBe('idle')
    expect([...new Set(asked)]).toEqual(['ca.example.com:443'])
  } finally {
    proxy.close()
    await rm(work, { recursive: true, force: true })
  }
})
