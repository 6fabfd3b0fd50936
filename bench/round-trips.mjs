import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fillSlots, startSandbox } from '../dist/sandbox/sandbox.mjs'
import { roundsOf, watchSequence } from '../dist/sandbox/sequence.mjs'

/**
 * `node bench/round-trips.mjs` (after `node build.mjs`): every outside call of an idle check and of a rotation by
 * the built command against the sandbox, in sequential round trips, with the reason for each. Counted, not timed.
 */

const CLI = fileURLToPath(new URL('../dist/cli.mjs', import.meta.url))
const RESULTS = fileURLToPath(new URL('./results/round-trips.md', import.meta.url))
/** Every answer is this late, so that calls which do not wait for each other arrive before the first answer. */
const LATE_MS = 250

const LOOK = 'device.Handshake + iotda.ListDomainConfigurations + iotda.ListServerCertificates'
const READ = 'iotda.ShowServerCertificate × 2'

const IDLE = [
  [
    LOOK,
    'what the port serves, what is bound, what is in the slots: none of them waits for another. An id stands for one leaf for ever; where the bound id is known, its leaf is served and the dates of the list agree, the certificates are not asked for',
  ],
]

const ROTATION = [
  [LOOK, 'is anything due? As in an idle check'],
  [
    READ,
    'forced, so that nothing is taken as known: the lists name no fingerprint, only the certificate itself tells what it is',
  ],
  [LOOK, 'once more, now under the lease: another run may have finished the work in between'],
  [READ, 'the same'],
  [
    'dns.CAA × 2 + dns.SOA',
    'before the order: may the CA issue for the name, or its parent? Which zone holds the TXT record? The domain itself is none',
  ],
  ['dns.SOA', 'its parent is'],
  ['dns.CNAME', 'and is no alias, whose SOA a resolver would show as its own'],
  ['dns.NS', 'the name servers of the zone'],
  [
    'dns.SOA',
    'which zone is above, whose servers tell to whom they refer? Here none is (else four questions more)',
  ],
  ['dns.A + dns.AAAA', 'their addresses'],
  ['dns.CNAME', 'does the challenge name point elsewhere? Then the value goes there'],
  ['acme.NewNonce', 'the first signed request needs a nonce; each answer brings the next'],
  ['acme.NewOrder', 'the order, naming the certificate that it replaces'],
  ['acme.Authorization', 'the token of its challenge'],
  ['httpreq.Present', 'the TXT value'],
  ['dns.SOA', 'the servers to ask, looked up anew: the value may have gone to another zone'],
  ['dns.SOA', 'the same, the parent'],
  ['dns.CNAME', 'the same, no alias'],
  ['dns.NS', 'its name servers'],
  [
    'dns.SOA',
    'which zone is above, whose servers tell to whom they refer? Here none is (else four questions more)',
  ],
  ['dns.A + dns.AAAA', 'their addresses'],
  ['dns.CNAME', 'no alias in the way of the value'],
  ['dns.NS', 'the name exists now: is it a zone of its own, with servers of its own?'],
  ['dns.TXT', 'does each authoritative address show the value? Only then may the CA look'],
  ['acme.Challenge', 'the CA is told to look'],
  ['acme.Order', 'until it has looked: the order, which follows its authorizations'],
  ['acme.Finalize', 'the CSR'],
  ['acme.Order', 'until the CA has issued (it issues asynchronously)'],
  ['acme.Certificate', 'the chain'],
  ['httpreq.Cleanup', 'exactly our TXT value goes'],
  ['device.Handshake', 'delete guard: the one to be deleted must not be served'],
  ['iotda.ShowDomainConfiguration', 'delete guard: and must not have been bound meanwhile'],
  ['iotda.DeleteServerCertificate', 'both slots were used'],
  ['iotda.ListServerCertificates', 'is the new leaf there already? The same leaf is never added twice'],
  ['iotda.ShowServerCertificate', 'compared by its PEM, as the lists name no fingerprint'],
  ['iotda.CreateServerCertificate', 'the upload'],
  ['iotda.ShowServerCertificate', 'IoTDA holds what was sent: from here on the key may be forgotten'],
  ['iotda.ShowDomainConfiguration', 'the binding is still what this run decided on'],
  ['iotda.UpdateDomainConfiguration', 'the cut-over'],
  ['iotda.ShowDomainConfiguration', 'it is bound'],
  ['device.Handshake', 'proof: the new leaf is served'],
  ['device.Handshake', 'and again'],
  ['device.Handshake', 'and a third time in a row (probe.steady)'],
]

const READ_ONE = ['iotda.ShowServerCertificate', 'the one certificate that is there']
const STALE = [
  [LOOK, 'as above'],
  ['acme.RenewalInfo', 'when does the CA want it renewed? A plain GET, kept as long as the CA says'],
]
const NEEDLESS =
  /^(httpreq\.|acme\.(Authorization|Challenge)|iotda\.Delete|dns\.TXT)|^iotda\.ShowDomainConfiguration$/
const [VALIDATED, FREE, ADD] = ['acme.Challenge', 'device.Handshake', 'iotda.ListServerCertificates'].map(
  name => ROTATION.findIndex(([round]) => round === name),
)
const ORDERED = ROTATION.findIndex(([round]) => round === 'acme.NewOrder')

/** No challenge, hence no TXT value and no second look at DNS; and nothing to delete. */
const RENEWAL = ROTATION.flatMap(([round, why], i) => {
  if (round === READ) return [READ_ONE]
  if (i === FREE) return [[round, 'is a slot to be freed? What is served may not be deleted']]
  if (i > ORDERED && i <= VALIDATED + 1) return []
  return i > ORDERED && i < ADD && NEEDLESS.test(round) ? [] : [[round, why]]
})

const sandbox = await startSandbox()
const folder = await mkdtemp(join(tmpdir(), 'iotda-cert-bench-'))
try {
  const settings = join(folder, 'settings.json')
  await writeFile(settings, JSON.stringify(sandbox.settings()), { mode: 0o600 })
  await fillSlots(sandbox)
  // The account, the directory and the CA's renewal info are known afterwards, as in every later renewal.
  await iotdaCert(settings)
  await iotdaCert(settings)
  // The certificate just replaced is kept for an hour; a target that knows nothing of it may delete it.
  await rm(join(folder, 'state', 'targets'), { recursive: true })
  await iotdaCert(settings)
  sandbox.faults.add({ operations: ['*'], times: Number.MAX_SAFE_INTEGER, delayMs: LATE_MS })
  sandbox.device.switches.delayMs = LATE_MS
  sandbox.ca.options.authorizationReuse = false

  const sequence = watchSequence(sandbox)
  await iotdaCert(settings)
  const idle = sequence.calls()
  sequence.clear()
  await iotdaCert(settings, '--force')
  const rotation = sequence.calls()

  // Its renewal info is fetched once, here; and again a slot is free.
  sandbox.ca.options.authorizationReuse = true
  const bound = sandbox.iotda.configurations()[0]?.server_certificate_id
  for (const { id } of sandbox.iotda.certificates()) if (id !== bound) sandbox.iotda.deleteCertificate(id)
  sequence.clear()
  await iotdaCert(settings)
  const stale = sequence.calls()
  sequence.clear()
  await iotdaCert(settings, '--force')
  const renewal = sequence.calls()
  sequence.stop()

  const text = page({ idle, stale, rotation, renewal })
  await mkdir(fileURLToPath(new URL('./results/', import.meta.url)), { recursive: true })
  await writeFile(RESULTS, text)
  process.stdout.write(text)
} finally {
  await sandbox.dispose()
  await rm(folder, { recursive: true, force: true })
}

function page({ idle, stale, rotation, renewal }) {
  return `# Round trips

Counted by \`node bench/round-trips.mjs\` in the sandbox's log: one target, the solver \`webhook\`, one name server,
one address of the device port. A line is one round trip: what it names runs side by side, and the next line waits
for it. Opening a connection, and the solver's attempt to connect before the order, are not counted.

## An idle check

${sum(idle)} No request to the CA while its kept renewal info is fresh.

${table(idle, IDLE)}
## A check that asks the CA

${sum(stale)} The renewal info of a certificate is asked for once it is bound, then as often as the CA says.

${table(stale, STALE)}
## A whole rotation

Known account, cached directory, a new authorization, both slots used. ${sum(rotation)}

${table(rotation, ROTATION)}
## A renewal with a valid authorization

The CA still holds the names for validated, and a slot is free. ${sum(renewal)}

${table(renewal, RENEWAL)}`
}

function sum(calls) {
  const services = { IoTDA: 'iotda', 'the CA': 'acme', DNS: 'dns', 'the DNS solver': 'httpreq' }
  const parts = Object.entries(services).map(([name, service]) => {
    const own = calls.filter(call => call.operation.startsWith(`${service}.`))
    return { name, trips: roundsOf(own).length, calls: own.length }
  })
  const said = parts
    .filter(part => part.calls > 0)
    .map(part => `${part.trips} to ${part.name} (${part.calls} calls)`)
  return `${roundsOf(calls).length} sequential round trips: ${said.join(', ')}; the rest are handshakes on the device port.`
}

/** The rounds with their reasons. A call without a reason is a mistake, here or in the program. */
function table(calls, reasons) {
  const rounds = roundsOf(calls).map(describe)
  const expected = reasons.map(([round]) => round)
  if (JSON.stringify(rounds) !== JSON.stringify(expected))
    throw new Error(
      `not the round trips with a reason:\n${rounds.join('\n')}\ninstead of\n${expected.join('\n')}`,
    )
  const lines = reasons.map(([round, why], i) => `| ${i + 1} | ${round} | ${why} |`)
  return `|   | Calls | Why |\n|--:|---|---|\n${lines.join('\n')}\n`
}

function describe(round) {
  const names = round.map(call => call.operation).sort()
  const counted = [...new Set(names)].map(name => {
    const count = names.filter(other => other === name).length
    return count === 1 ? name : `${name} × ${count}`
  })
  return counted.join(' + ')
}

/** Runs the built command in a process of its own; what it prints is shown only when it fails. */
function iotdaCert(settings, ...flags) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CLI, 'rotate', '--config', settings, ...flags], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let said = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', chunk => {
        said += chunk
      })
    child.once('error', reject)
    child.once('close', code => (code === 0 ? resolve() : reject(new Error(`exit ${code}\n${said}`))))
  })
}
