import { spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as tlsConnect } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { connectAsync, type MqttClient } from 'mqtt'
import { fillSlots, type Sandbox, startSandbox, withRsa } from './sandbox.ts'

/**
 * `npm start`: the main job against the sandbox, as an operator and a device see it. With `--keep` the sandbox
 * stays and the settings file is printed.
 */

const keep = process.argv.includes('--keep')
const cli = fileURLToPath(new URL('../cli.mjs', import.meta.url))
const say = (text = ''): void => console.log(text)

say('Starting the sandbox: IoTDA, device port with an MQTT broker, ACME CA, DNS ...')
const sandbox = await startSandbox()
await fillSlots(sandbox, 5, 'rsa-2048')
const folder = await mkdtemp(join(tmpdir(), 'iotda-cert-'))
const settingsFile = join(folder, 'settings.json')
await writeFile(settingsFile, `${JSON.stringify(sandbox.settings(withRsa), null, 2)}\n`, { mode: 0o600 })

const device = await connectDevice('meter-1')
let dropped = 0
device.on('close', () => {
  dropped += 1
})
const before = await served()
say(`\nBefore   served on port ${sandbox.device.port}: ${describe(before)}`)
say('         both slots are used, device meter-1 is connected over MQTTS with the root pinned\n')
showSlots()

say('\n$ iotda-cert plan')
await iotdaCert('plan')
say('\n$ iotda-cert rotate')
const code = await iotdaCert('rotate')

const after = await served()
const newcomer = await connectDevice('meter-2')
say(`\nAfter    served on port ${sandbox.device.port}: ${describe(after)}`)
say(
  `         meter-1 ${device.connected && dropped === 0 ? 'stayed connected through the cut-over' : 'LOST its connection'}`,
)
say(`         meter-2 connected anew and was served ${newcomer.connected ? fingerprint(after) : 'nothing'}`)
showSlots()
const rotated = code === 0 && before.fingerprint256 !== after.fingerprint256 && dropped === 0
say(
  rotated
    ? '\nRotated. The old certificate is the rollback copy in the other slot.'
    : '\nThe rotation did not succeed.',
)

if (keep) {
  say(`\nThe sandbox stays. Settings: ${settingsFile}
  node dist/cli.mjs status --config ${settingsFile}
  node dist/cli.mjs plan --force --config ${settingsFile}
  node dist/cli.mjs rollback --config ${settingsFile}
Faults: POST ${sandbox.iotda.url}/_sandbox/faults {"operations":["iotda.CreateServerCertificate"],"drop":"after"}
Ctrl-C ends it.`)
  await new Promise(resolve => process.once('SIGINT', resolve))
}
await Promise.all([device.endAsync(true), newcomer.endAsync(true)])
await sandbox.dispose()
await rm(folder, { recursive: true, force: true })
process.exit(rotated ? 0 : 1)

/** A device: trusts one root, speaks MQTT over TLS with the custom domain as SNI. */
function connectDevice(clientId: string): Promise<MqttClient> {
  const { host, port } = sandbox.device
  return connectAsync(`mqtts://${host}:${port}`, {
    clientId,
    ca: sandbox.ca.rootPem,
    servername: sandbox.domain,
    reconnectPeriod: 0,
  })
}

function served(): Promise<X509Certificate> {
  const { host, port } = sandbox.device
  return new Promise((resolve, reject) => {
    const socket = tlsConnect({ host, port, servername: sandbox.domain, ca: sandbox.ca.rootPem }, () => {
      resolve(new X509Certificate(socket.getPeerCertificate().raw))
      socket.destroy()
    })
    socket.once('error', reject)
  })
}

function iotdaCert(command: string): Promise<number> {
  return new Promise(resolve => {
    const child = spawn(process.execPath, [cli, command, '--config', settingsFile], { stdio: 'inherit' })
    child.once('close', status => resolve(status ?? 1))
  })
}

function showSlots(): void {
  const { iotda } = sandbox as Sandbox
  const bound = iotda.configurations()[0]?.server_certificate_id
  for (const [i, slot] of iotda.certificates().entries()) {
    say(`         slot ${i + 1}: ${slot.id} until ${slot.expiryDate}${slot.id === bound ? '  <- bound' : ''}`)
  }
}

function fingerprint(certificate: X509Certificate): string {
  return `${certificate.fingerprint256.replaceAll(':', '').toLowerCase().slice(0, 16)}…`
}

function describe(certificate: X509Certificate): string {
  const days = Math.floor((Date.parse(certificate.validTo) - Date.now()) / 86_400_000)
  return `${certificate.subject ?? certificate.subjectAltName}, ${days} days left (${fingerprint(certificate)})`
}
