/** Real TLS clients: small ones of ours in C, compiled here, each on its stack; and the server that they talk to. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createServer } from 'node:tls'
import { ROOT } from '../../support/modules.ts'
import { built, compiled, crate, debianTree, pythonWith } from '../../support/strangers.ts'
import type { Made } from './plan.ts'

const HERE = join(ROOT, 'test/strangers/stacks')

/** One stack, started once for all chains. */
export interface Client {
  readonly name: string
  readonly version: string
  /** Null: it takes the certificate; else what it says. */
  shake(port: number, host: string, rootsPem: string): Promise<string | null>
  stop(): void
}

async function start(name: string, command: string, args: readonly string[] = []): Promise<Client> {
  const child: ChildProcess = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const folder = mkdtempSync(join(tmpdir(), 'stacks-'))
  const roots = join(folder, 'roots.pem')
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
  const answer = async (): Promise<string> => {
    const { value, done } = await lines.next()
    if (done) throw new Error(`the client ${name} ended`)
    return value
  }
  const version = await answer()
  return {
    name,
    version,
    async shake(port, host, rootsPem) {
      writeFileSync(roots, rootsPem)
      child.stdin?.write(`${port} ${host} ${roots}\n`)
      const line = await answer()
      return line === 'ok' ? null : line.replace('no ', '')
    },
    stop() {
      child.stdin?.end()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** What the compiler is told of a Debian package, whether the system has it or it was unpacked. */
async function debianFlags(name: string): Promise<readonly string[]> {
  const tree = await debianTree(name)
  const kind = execFileSync('cc', ['-print-multiarch'], { encoding: 'utf8' }).trim()
  const libraries = join(tree, 'usr/lib', kind)
  const headers = join(tree, 'usr/include')
  return [`-I${headers}`, `-I${join(headers, kind)}`, `-L${libraries}`, `-Wl,-rpath,${libraries}`]
}

const onDebian = async (source: string, name: string, libraries: readonly string[]): Promise<string> =>
  compiled(`${source}-debian`, HERE, `${source}.c`, [
    ...(await debianFlags(name)),
    '-DMBEDTLS_ALLOW_PRIVATE_ACCESS',
    ...libraries,
  ])

/** Mbed TLS as its makers configure it: every file compiled, with the headers beside them. */
async function mbedtls3(): Promise<{ readonly library: string; readonly include: string }> {
  const source = join(await crate('mbedtls-rs-sys', '0.3.1'), 'mbedtls')
  const parts = [
    'everest/include',
    'everest/include/everest',
    'everest/include/everest/kremlib',
    'p256-m/p256-m',
  ]
  const includes = [
    ...['include', 'library', '3rdparty/p256-m', '3rdparty/p256-m/p256-m/include'],
    ...['3rdparty/p256-m/p256-m/include/p256-m', ...parts.map(part => `3rdparty/${part}`)],
  ].map(folder => `-I${source}/${folder}`)
  const files = [
    `${source}/library/*.c`,
    ...['everest', 'x25519', 'Hacl_Curve25519_joined'].map(
      it => `${source}/3rdparty/everest/library/${it}.c`,
    ),
    `${source}/3rdparty/p256-m/p256-m/p256-m.c ${source}/3rdparty/p256-m/p256-m_driver_entrypoints.c`,
  ]
  const script = `cd "$1" && ls ${files.join(' ')} | xargs -P 2 -n 8 cc -O1 -w -c ${includes.join(' ')} && ar rcs libmbed.a *.o`
  const folder = await built('mbedtls-3', script, 'These tests compile Mbed TLS, which needs cc and ar.')
  return { library: join(folder, 'libmbed.a'), include: join(source, 'include') }
}

/** wolfSSL as its makers configure it. */
async function wolfssl5(): Promise<readonly string[]> {
  const source = join(await crate('wolfssl-sys', '5.3.0'), 'wolfssl-src')
  const options =
    '-DWOLFSSL_EXAMPLES=no -DWOLFSSL_CRYPT_TESTS=no -DBUILD_SHARED_LIBS=OFF -DCMAKE_BUILD_TYPE=Release'
  const script = `cd "$1" && cmake ${options} ${source} && make -j2`
  const folder = await built(
    'wolfssl-5',
    script,
    'These tests compile wolfSSL, which needs cmake, make and cc.',
  )
  return [`-I${folder}`, `-I${source}`, `${folder}/libwolfssl.a`, '-lm', '-lpthread']
}

/** Of which preset each stack is, and how it is started. */
export const STACKS: readonly {
  readonly preset: string | null
  readonly name: string
  readonly open: () => Promise<Client>
}[] = [
  {
    preset: 'openssl',
    name: 'OpenSSL of Debian',
    open: async () =>
      start('OpenSSL of Debian', await onDebian('openssl', 'libssl-dev', ['-lssl', '-lcrypto'])),
  },
  {
    preset: 'openssl',
    name: 'OpenSSL, newest',
    open: async () =>
      start('OpenSSL, newest', await pythonWith('pyOpenSSL==26.4.0', 'cryptography==50.0.2'), [
        join(HERE, 'openssl_client.py'),
      ]),
  },
  {
    preset: 'mbedtls-2',
    name: 'Mbed TLS 2.28',
    open: async () =>
      start(
        'Mbed TLS 2.28',
        await onDebian('mbedtls', 'libmbedtls-dev', ['-lmbedtls', '-lmbedx509', '-lmbedcrypto']),
      ),
  },
  {
    preset: 'mbedtls-3',
    name: 'Mbed TLS 3.6',
    open: async () => {
      const { library, include } = await mbedtls3()
      const flags = [`-I${include}`, '-DMBEDTLS_ALLOW_PRIVATE_ACCESS', library]
      return start('Mbed TLS 3.6', await compiled('mbedtls-3', HERE, 'mbedtls.c', flags))
    },
  },
  {
    preset: 'esp-idf',
    name: "Mbed TLS 3.6 with IDF's bundle",
    open: async () => {
      const { library, include } = await mbedtls3()
      const flags = ['-DBUNDLE', `-I${include}`, '-DMBEDTLS_ALLOW_PRIVATE_ACCESS', library]
      return start("Mbed TLS 3.6 with IDF's bundle", await compiled('esp-bundle', HERE, 'mbedtls.c', flags))
    },
  },
  {
    preset: 'wolfssl',
    name: 'wolfSSL, default build',
    open: async () =>
      start('wolfSSL, default build', await compiled('wolfssl-5', HERE, 'wolfssl.c', await wolfssl5())),
  },
  {
    preset: 'wolfssl',
    name: 'wolfSSL of Debian',
    open: async () => start('wolfSSL of Debian', await onDebian('wolfssl', 'libwolfssl-dev', ['-lwolfssl'])),
  },
  {
    preset: null,
    name: 'GnuTLS of Debian',
    open: async () => start('GnuTLS of Debian', await onDebian('gnutls', 'libgnutls28-dev', ['-lgnutls'])),
  },
]

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const

/** What a client says of a chain in both versions of TLS: null where it takes it in both, else the first refusal. */
export async function verdicts(
  made: Made,
  clients: readonly Client[],
): Promise<ReadonlyMap<string, string | null>> {
  const said = new Map<string, string | null>(clients.map(({ name }) => [name, null]))
  for (const version of VERSIONS) {
    const server = createServer({
      cert: made.chainPem,
      key: made.keyPem,
      minVersion: version,
      maxVersion: version,
      ciphers: 'ALL:@SECLEVEL=0',
      // Mbed TLS 2.28 has no TLS 1.3, and what is served is what is at stake.
      ecdhCurve: 'auto',
    })
    server.on('tlsClientError', () => {})
    server.on('secureConnection', socket => socket.on('error', () => {}).end())
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    await Promise.all(
      clients.map(async client => {
        if (version === 'TLSv1.3' && client.name === 'Mbed TLS 2.28') return
        const why = await client.shake(port, made.host, made.rootsPem)
        if (why !== null && said.get(client.name) === null) said.set(client.name, `${version}: ${why}`)
      }),
    )
    await new Promise<void>(resolve => server.close(() => resolve()))
  }
  return said
}
