/** One renewal against a sandbox, over and over: the start, the watch, and what must be true at the end. */
import { createHash, X509Certificate } from 'node:crypto'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { connect } from 'node:tls'
import type { CaKeyType } from '../../sandbox/acme-ca/ca.ts'
import type { Fault } from '../../sandbox/kit/faults.ts'
import type { Sandbox, SandboxSettings } from '../../sandbox/sandbox.ts'
import { cli, type Ended, spawnCli } from './command.ts'
import type { Rig } from './rig.ts'

const DAY_MS = 86_400_000

/** Makes a rotation fast without leaving anything out. */
export const fast = (rig: Rig, change: (settings: SandboxSettings) => void = () => {}): Promise<void> =>
  rig.configure(settings => {
    change(settings)
    settings.solvers.dns.propagation.every = '50ms'
    Object.assign(settings.targets[0].probe, { within: '5s', steady: 2 })
  })

export type Pair = Awaited<ReturnType<typeof issuePair>>

export interface Start {
  /** Ids; `bound` ends in ten days, `spare` has expired. */
  readonly bound: string
  readonly spare: string
  /** Certificates issued before the renewal. */
  readonly issued: number
  /** What was wrong at any write of the binding since; ends the watch. */
  readonly objections: () => readonly string[]
}

interface Identity {
  readonly certPem: string
  readonly keyPem: string
}

/** Issues the pair that every case of a rig may start from. */
export async function issuePair(
  { ca, domain }: Sandbox,
  now = Date.now(),
  keyType: CaKeyType = 'ec-256',
): Promise<{ readonly older: Identity; readonly newer: Identity }> {
  const issue = (fromDays: number, toDays: number) =>
    ca.issue([domain], {
      notBefore: new Date(now + fromDays * DAY_MS),
      notAfter: new Date(now + toDays * DAY_MS),
      keyType,
    })
  const [older, newer] = await Promise.all([issue(-145, -55), issue(-80, 10)])
  return { older, newer }
}

/** The worst realistic start, whatever was there before: no state, both slots used, the bound one about to end. */
export async function startOver(rig: Rig, { older, newer }: Pair): Promise<Start> {
  const { iotda, faults, ca, dns, domain } = rig.sandbox
  faults.clear()
  faults.clearCalls()
  for (const zone of dns.zones.list)
    for (const { name, type } of dns.zones.all(zone))
      if (type === 'TXT') dns.zones.set({ name, type, values: [] })
  await rm(join(rig.folder, 'state'), { recursive: true, force: true })
  const { deleteBound } = iotda.switches
  iotda.switches.deleteBound = 'allow'
  for (const { id } of iotda.certificates()) iotda.deleteCertificate(id)
  iotda.switches.deleteBound = deleteBound
  const spare = iotda.upload(older.certPem, older.keyPem)
  const bound = iotda.upload(newer.certPem, newer.keyPem)
  if (iotda.configurations().length === 0) iotda.createConfiguration(domain, bound)
  else iotda.bind(bound)
  return { bound, spare, issued: ca.issued.length, objections: watch(rig.sandbox) }
}

export const boundId = ({ iotda }: Sandbox): string | undefined =>
  iotda.configurations()[0]?.server_certificate_id

/** SHA-256 of the leaf that a device is served, hex. */
export const servedLeaf = ({ device, domain }: Sandbox): Promise<string> =>
  new Promise((resolve, reject) => {
    const { host, port } = device
    const socket = connect({ host, port, servername: domain, rejectUnauthorized: false }, () => {
      resolve(createHash('sha256').update(socket.getPeerCertificate().raw).digest('hex'))
      socket.end(() => socket.destroy())
    })
    socket.once('error', reject)
  })

/** What must hold at every instant: a bound certificate that is in a slot, and never more than two slots. */
export function objection({ iotda }: Sandbox): string | null {
  const [configuration, ...more] = iotda.configurations()
  const certificates = iotda.certificates()
  if (!configuration || more.length > 0) return 'not exactly one domain configuration'
  if (!certificates.some(c => c.id === configuration.server_certificate_id))
    return 'the bound certificate is in no slot'
  return certificates.length > 2 ? `${certificates.length} slots are used` : null
}

/** `objection`, and that a device is served what is bound. */
export async function objectionNow(sandbox: Sandbox): Promise<string | null> {
  const bound = sandbox.iotda.certificates().find(c => c.id === boundId(sandbox))
  const served = await servedLeaf(sandbox)
  return objection(sandbox) ?? (served === bound?.fingerprint ? null : 'the bound certificate is not served')
}

/** Collects what `objection` says at each write of the binding until it is asked for, once. */
function watch(sandbox: Sandbox): () => readonly string[] {
  const seen: string[] = []
  const stop = sandbox.iotda.onBind(() => {
    const found = objection(sandbox)
    if (found) seen.push(found)
  })
  return () => {
    stop()
    return seen
  }
}

/** TXT values anywhere in the zones. */
export const txtValues = ({ dns }: Sandbox): readonly string[] =>
  dns.zones.list.flatMap(zone => dns.zones.all(zone).filter(set => set.type === 'TXT')).flatMap(s => s.values)

/** Files of the state that hold, or may hold, a certificate's private key. */
export async function keyFiles({ folder }: Rig): Promise<readonly string[]> {
  const names = await readdir(join(folder, 'state', 'certificates'), { recursive: true })
  return names.filter(name => /^iot[/\\].*\.(json|tmp.*)$|\.tmp\./.test(name))
}

/** What is wrong with the certificate's document after a renewal; null when nothing is. */
async function unsettled({ folder }: Rig, fingerprint: string): Promise<string | null> {
  const files = join(folder, 'state', 'certificates')
  const [name = '', ...more] = (await readdir(files)).filter(file => file.endsWith('.json'))
  const { pending, current, leftovers } = JSON.parse(await readFile(join(files, name), 'utf8'))
  const isSettled = more.length === 0 && pending === null && leftovers.length === 0
  const isRight = current?.fingerprint === fingerprint && current.notAfter > Date.now()
  return isSettled && isRight
    ? null
    : `the certificate's document says ${JSON.stringify({ pending, current })}`
}

/** Everything a finished renewal must have left behind; the empty list when it has. */
export async function leftBehind(rig: Rig, start: Start): Promise<readonly string[]> {
  const { sandbox } = rig
  const ids = sandbox.iotda.certificates().map(c => c.id)
  const newcomer = sandbox.ca.issued.at(-1)?.pem ?? ''
  const current = sandbox.iotda.certificates().find(c => c.id === boundId(sandbox))
  const wrong = [
    boundId(sandbox) === start.bound ? 'the old certificate is still bound' : null,
    ids.includes(start.bound) ? null : 'the old certificate is gone',
    ids.length === 2 ? null : `${ids.length} certificates`,
    sandbox.ca.issued.length === start.issued + 1
      ? null
      : `${sandbox.ca.issued.length - start.issued} certificates were issued`,
    current && current.fingerprint === fingerprintOf(newcomer)
      ? null
      : 'what was issued is not what is bound',
    await objectionNow(sandbox),
    txtValues(sandbox).length === 0 ? null : `TXT values stay: ${txtValues(sandbox).join(', ')}`,
    await unsettled(rig, fingerprintOf(newcomer)),
    (await keyFiles(rig)).length === 0 ? null : `the private key stays: ${(await keyFiles(rig)).join(', ')}`,
  ]
  return wrong.filter(w => w !== null)
}

const fingerprintOf = (pem: string): string =>
  createHash('sha256').update(new X509Certificate(pem).raw).digest('hex')

/** A plain run of the built command. */
export async function rotateOnce(rig: Rig, ...flags: readonly string[]) {
  const { code, stdout, stderr } = await cli(rig, ['rotate', '--json', ...flags])
  if (stdout === '') throw new Error(`no answer: ${stderr}`)
  const { outcome, error, decision, deleted } = JSON.parse(stdout).results[0]
  return { code, outcome, error, decision, deleted }
}

/** The same in this process: a run remembers nothing but its store either way. */
export async function rotateHere(rig: Rig) {
  const { ok, results } = await rig.run()
  const [result] = results
  if (result === undefined) throw new Error('no result')
  return { ok, ...result }
}

/** A run of the built command that the sandbox kills at the call the fault names. */
export const killedRun = (
  rig: Rig,
  when: 'before' | 'after',
  fault: Pick<Fault, 'operations' | 'skip'>,
  command: 'rotate' | 'rollback' = 'rotate',
): Promise<Ended> =>
  // The child is told of by the same loop that answers its first call: the fault is there before.
  spawnCli([command, '--json'], { IOTDA_CERT_CONFIG: rig.settingsFile }, pid =>
    rig.sandbox.faults.add({ ...fault, kill: { pid, when } }),
  )
