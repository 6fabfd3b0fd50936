import { isIPv6 } from 'node:net'
import { DAY_MS, iso, SECOND_MS } from '../../base/time.ts'
import { profilesOf } from '../../devices/roots.ts'
import type { Endpoint, Handshake } from '../../iotda/endpoint.ts'
import { type DeviceProbe, nameOf } from '../../iotda/probe.ts'
import type { ReportedAddress, ReportedProbe, ReportedVerdict } from '../../report/reported-probe.ts'
import { leafOf, parseChain } from '../../x509/certificate.ts'
import { doubtsOf } from '../observe/judgements.ts'
import {
  addressesOf,
  playedDevices,
  type Question,
  reasonOf,
  tryAll,
  tryCanaries,
} from '../steps/device-probes.ts'

export interface ProbeQuestion extends Question {
  readonly endpoint: Endpoint
  readonly expected: string | null
}

const PAUSE_MS = SECOND_MS / 2

/**
 * Plays every device at every address, `steady` times in a row, and its canary once at the end. What went wrong
 * once is what is reported.
 */
export async function probePort(question: ProbeQuestion): Promise<ReportedProbe> {
  const { target, run, endpoint, expected } = question
  const devices = playedDevices(question)
  const rounds: Round[] = []
  for (let round = 1; round <= target.probe.steady; round += 1) {
    if (round > 1) await run.clock.sleep(PAUSE_MS, run.signal)
    const seen = await endpoint.lookClosely(target.probe, target.domain, run.signal)
    const addresses = seen.filter(isWorthTrying).map(s => s.address)
    const attempts = await tryAll(question, { devices, addresses, expected })
    run.signal.throwIfAborted()
    rounds.push({ seen, attempts })
    if (seen.every(s => s.leaf === null)) break
  }
  const addresses = addressesOf(rounds.at(-1)?.seen ?? [])
  const canaries = await tryCanaries(question, { devices, addresses, expected })
  const everywhere = [...new Set(rounds.flatMap(({ seen }) => seen.map(s => s.address)))]
  const reported = everywhere.map(address => reportAddress(question, address, rounds, canaries))
  const counting = reported.filter(({ skipped }) => !skipped)
  const ok = counting.length > 0 && counting.every(({ verdicts }) => verdicts.every(v => v.ok))
  const { port } = target.probe
  return { serverName: target.domain, port, ok, expected, addresses: reported }
}

interface Round {
  readonly seen: readonly Handshake[]
  readonly attempts: readonly DeviceProbe[]
}

/** A device may get a handshake where Node's defaults get none, but not without a connection. */
const isWorthTrying = ({ leaf, error }: Handshake): boolean => leaf !== null || /^ERR_SSL/.test(error ?? '')

/** Nobody here can use that address; it is not known whether others can. */
const isBeyond = ({ address, error }: Handshake): boolean =>
  isIPv6(address) && /^(ENETUNREACH|EADDRNOTAVAIL|EAFNOSUPPORT)$/.test(error ?? '')

function reportAddress(
  question: ProbeQuestion,
  address: string,
  rounds: readonly Round[],
  canaries: readonly DeviceProbe[],
): ReportedAddress {
  const now = question.run.clock.now()
  const looks = rounds.flatMap(({ seen }) => seen.filter(s => s.address === address))
  const shown = looks.findLast(s => s.leaf) ?? (looks.at(-1) as Handshake)
  const attempts = [...rounds.flatMap(r => r.attempts), ...canaries].filter(a => a.address === address)
  const chainPem = shown.chainPem ?? attempts.find(a => a.chainPem)?.chainPem ?? null
  const chain = chainPem === null ? [] : parseChain(chainPem).map(leafOf)
  const failed = looks.filter(s => s.error !== null)
  const error = failed[0] ? `${failed[0].error}${often(failed.length, looks.length)}` : null
  return {
    address,
    error,
    skipped: looks.every(isBeyond),
    chain: chain.map(({ notBefore, notAfter, serial: _s, ocspUrl: _o, ...leaf }) => ({
      ...leaf,
      notBefore: iso(notBefore),
      notAfter: iso(notAfter),
    })),
    daysLeft: chain[0] ? Math.floor((chain[0].notAfter - now) / DAY_MS) : null,
    protocol: shown.protocol,
    cipher: shown.cipher,
    verdicts: profilesOf(question.target).map(profile => verdictOf(question, profile, { attempts, looks })),
  }
}

const often = (count: number, of: number): string => (count === of ? '' : `, in ${count} of ${of} looks`)

function verdictOf(
  question: ProbeQuestion,
  profile: ReturnType<typeof profilesOf>[number],
  { attempts, looks }: { readonly attempts: readonly DeviceProbe[]; readonly looks: readonly Handshake[] },
): ReportedVerdict {
  const name = profile?.name ?? null
  const own = attempts.filter(a => a.profile === name)
  const shown = own.find(a => a.problem !== null) ?? own.at(-1)
  const lines = doubtsOf(question, profile, own.findLast(a => a.chainPem)?.chainPem ?? null)
  const refusal = lines.find(line => line.verdict === 'refuse')?.reason ?? null
  const problem = problemOf(own, looks) ?? refusal ?? troubleOf(looks, question.expected)
  return {
    profile: name,
    ok: problem === null,
    protocol: shown?.protocol ?? null,
    cipher: shown?.cipher ?? null,
    problem,
    canary: own.findLast(a => a.canary)?.canary ?? null,
    // Where nobody answered a look, no device has tried.
    durationMs: Math.max(0, ...(own.length > 0 ? own : looks).map(one => one.durationMs)),
    lines,
  }
}

/** Why one kind of device could not connect, and how often; null: it always could. */
function problemOf(own: readonly DeviceProbe[], looks: readonly Handshake[]): string | null {
  const failed = own.filter(a => a.problem !== null)
  const [first] = failed
  if (!first) return null
  // A canary connects once, after the looks.
  const isLook = (a: DeviceProbe): boolean => a.canary === null
  const many = isLook(first) ? often(failed.filter(isLook).length, own.filter(isLook).length) : ''
  return `${reasonOf(first, looks)}${many}`
}

/** What was seen at the address that should not be, and how often; null: nothing. */
function troubleOf(looks: readonly Handshake[], expected: string | null): string | null {
  const wrong = looks.filter(s => !s.leaf || (expected !== null && s.leaf.fingerprint !== expected))
  const [first] = wrong
  if (!first) return null
  const what = first.leaf ? `others are served ${nameOf(first.leaf)}` : `no answer: ${first.error}`
  return `${what}${often(wrong.length, looks.length)}`
}
