/** BIND as authority of signed zones below `test.`, and as a resolver that validates them from a trust anchor. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePort, HOST, serialOf, startNamed } from './bind.ts'
import { bindBinaries, type SigningTools, signingTools } from './bind-binaries.ts'

const run = promisify(execFile)
const TOP = 'test'

/** A zone as it is served. Signed with keys of its own, for a month, unless told otherwise. */
export interface SignedZone {
  /** Below `test.` */
  readonly name: string
  readonly records?: readonly string[]
  /** Offsets from now, as dnssec-signzone takes them; null: not signed. */
  readonly holds?: readonly [starts: string, ends: string] | null
  /** What becomes of the signed text; `other` is the same zone signed with the same KSK and another ZSK. */
  readonly edit?: (signed: string, other: string) => string
  /** What becomes of the DS record; `other` is that of a key which the zone does not have. Default: as it is. */
  readonly ds?: (own: string, other: string) => string
}

export interface SignedWorld {
  /** Of the authority. */
  readonly port: number
  /** `host:port` of a resolver, which is started. */
  resolver(validates?: boolean): Promise<string>
  /** Serves these zones in the place of those before, with the keys they had. */
  serve(zones: readonly SignedZone[]): Promise<void>
  dispose(): Promise<void>
}

const MONTH = ['now-1h', 'now+30d'] as const
const ALGORITHM = 'ECDSAP256SHA256'

const zoneText = (serial: number, records: readonly string[]): string =>
  ['$TTL 1', `@ SOA ns.${TOP}. h.${TOP}. ${serial} 3600 600 86400 1`, `@ NS ns.${TOP}.`, ...records, ''].join(
    '\n',
  )

const byLength = (one: SignedZone, other: SignedZone): number => one.name.length - other.name.length

interface Keys {
  readonly folder: string
  readonly ksk: string
  readonly zsk: string
  readonly otherZsk: string
  readonly ds: string
  readonly otherDs: string
}

const createSigner = ({ paths, env }: SigningTools, home: string) => {
  const keys = new Map<string, Promise<Keys>>()
  const call = async (folder: string, tool: keyof SigningTools['paths'], args: readonly string[]) =>
    (await run(paths[tool], args, { cwd: folder, env: { ...env } })).stdout.trim()
  const makeKeys = async (zone: string): Promise<Keys> => {
    const folder = join(home, `keys-${zone}`)
    await mkdir(folder)
    const make = (...flags: string[]) =>
      call(folder, 'dnssec-keygen', ['-q', '-a', ALGORITHM, ...flags, zone])
    const dsOf = (key: string) => call(folder, 'dnssec-dsfromkey', ['-2', `${key}.key`])
    const [ksk, otherKsk] = [await make('-f', 'KSK'), await make('-f', 'KSK')]
    const [zsk, otherZsk] = [await make(), await make()]
    return { folder, ksk, zsk, otherZsk, ds: await dsOf(ksk), otherDs: await dsOf(otherKsk) }
  }
  const keysOf = (zone: string): Promise<Keys> => {
    const made = keys.get(zone) ?? makeKeys(zone)
    keys.set(zone, made)
    return made
  }
  const sign = async (zone: string, text: string, [starts, ends]: readonly string[], isOther = false) => {
    const { folder, ksk, zsk, otherZsk } = await keysOf(zone)
    const used = isOther ? otherZsk : zsk
    const included = [ksk, used].map(key => `$INCLUDE ${key}.key\n`)
    await writeFile(join(folder, 'plain'), text + included.join(''))
    const when = ['-s', starts ?? '', '-e', ends ?? '']
    const args = ['-P', '-O', 'full', ...when, '-o', zone, '-k', ksk, '-f', 'signed', 'plain', used]
    await call(folder, 'dnssec-signzone', args)
    return readFile(join(folder, 'signed'), 'utf8')
  }
  return { keysOf, sign }
}

const options = (folder: string, port: number, more: string): string =>
  `options { directory "${folder}"; listen-on port ${port} { ${HOST}; }; listen-on-v6 { none; }; pid-file none; session-keyfile none; notify no; empty-zones-enable no; ${more} };\ncontrols { };\n`

/** The world with its first zones. */
export async function startSignedWorld(zones: readonly SignedZone[]): Promise<SignedWorld> {
  const [binaries, tools] = await Promise.all([bindBinaries(), signingTools()])
  const home = await mkdtemp(join(tmpdir(), 'dnssec-'))
  const { keysOf, sign } = createSigner(tools, home)
  let serial = 0
  const write = async (folder: string, served: readonly SignedZone[]): Promise<void> => {
    serial += 1
    const delegations = new Map<string, string[]>()
    for (const { name, ds = (own: string) => own } of served) {
      const above =
        served
          .filter(it => name.endsWith(`.${it.name}`))
          .toSorted(byLength)
          .at(-1)?.name ?? TOP
      const keys = await keysOf(name)
      const own = [ds(keys.ds, keys.otherDs), `${name}. NS ns.${TOP}.`]
      delegations.set(above, [...(delegations.get(above) ?? []), ...own])
    }
    const below = (zone: string): readonly string[] => delegations.get(zone) ?? []
    for (const { name, records = [], holds = MONTH, edit = (text: string) => text } of served) {
      const plain = zoneText(serial, [...records, ...below(name)])
      const text =
        holds === null ? plain : edit(await sign(name, plain, holds), await sign(name, plain, holds, true))
      await writeFile(join(folder, `${name}.zone`), text)
    }
    const top = await sign(TOP, zoneText(serial, [`ns A ${HOST}`, ...below(TOP)]), MONTH)
    await writeFile(join(folder, `${TOP}.zone`), top)
  }
  const start = async (name: string, config: (folder: string, port: number) => Promise<string>) => {
    for (let attempt = 1; attempt <= 10; attempt += 1) {
      const [port, folder] = [await freePort(), await mkdtemp(join(tmpdir(), `${name}-`))]
      await writeFile(join(folder, 'named.conf'), await config(folder, port))
      const named = await startNamed(binaries, { folder, port, zone: TOP })
      if (named) return { ...named, port, folder }
    }
    throw new Error(`${name} found no free port`)
  }
  const authority = await start('authority', async (folder, port) => {
    await write(folder, zones)
    const names = [TOP, ...zones.map(it => it.name)]
    const served = names.map(name => `zone "${name}" { type primary; file "${name}.zone"; };`)
    return `${options(folder, port, 'recursion no; dnssec-validation no;')}${served.join('\n')}\n`
  })
  const opened = [authority.dispose]
  const anchor = async (): Promise<string> => {
    const { folder, ksk } = await keysOf(TOP)
    const [, flags, key = ''] = /DNSKEY (\d+ \d+ \d+) (.+)$/m.exec(
      await readFile(join(folder, `${ksk}.key`), 'utf8'),
    ) as RegExpExecArray
    return `trust-anchors { ${TOP}. static-key ${flags} "${key.replaceAll(' ', '')}"; };\n`
  }
  return {
    port: authority.port,
    resolver: async (validates = true) => {
      const resolver = await start('resolver', async (folder, port) => {
        const forwarded = `zone "${TOP}" { type forward; forward only; forwarders { ${HOST} port ${authority.port}; }; };\n`
        const how = `recursion yes; servfail-ttl 0; dnssec-validation ${validates ? 'yes' : 'no'};`
        return `${options(folder, port, how)}${validates ? await anchor() : ''}${forwarded}`
      })
      opened.push(resolver.dispose)
      return `${HOST}:${resolver.port}`
    },
    serve: async next => {
      await write(authority.folder, next)
      authority.reload()
      // Zone by zone: a resolver that asks meanwhile sees a parent and a child that do not fit.
      for (const zone of [TOP, ...next.map(it => it.name)])
        while ((await serialOf(authority.port, zone)) !== serial) await sleep(10)
    },
    dispose: async () => {
      for (const end of opened.splice(0)) await end()
      await rm(home, { recursive: true, force: true })
    },
  }
}
