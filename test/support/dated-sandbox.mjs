/**
 * A sandbox in a process of its own, so that it can live at another date: `node dated-sandbox.mjs FOLDER WORLD`, with
 * WORLD as JSON (see dated.ts). Writes FOLDER/settings.json, says its time, and answers each line of its input with a
 * device's handshake; ends with its input.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { connect } from 'node:tls'
import { startSandbox } from '../../dist/sandbox/sandbox.mjs'

const [folder, world] = process.argv.slice(2)
const { lifetimeMs, ageMs, issuesMs } = JSON.parse(world)
const say = answer => process.stdout.write(`${JSON.stringify(answer)}\n`)

const sandbox = await startSandbox({ ca: { validitySeconds: issuesMs / 1_000 } })
const { ca, iotda, device, domain } = sandbox
const notBefore = new Date(Date.now() - ageMs)
const notAfter = new Date(notBefore.getTime() + lifetimeMs - 1_000)
const { certPem, keyPem } = await ca.issue([domain], { notBefore, notAfter, keyType: 'ec-256' })
iotda.createConfiguration(domain, iotda.upload(certPem, keyPem))
const settings = sandbox.settings()
await writeFile(join(folder, 'settings.json'), JSON.stringify(settings))

/** A device that judges by its own clock and trusts one root. */
const handshake = () =>
  new Promise(resolve => {
    const { host, port } = device
    const options = { host, port, servername: domain, ca: ca.rootPem, rejectUnauthorized: false }
    const socket = connect(options, () => {
      const { valid_from: validFrom, valid_to: validTo } = socket.getPeerCertificate()
      const error = socket.authorizationError?.code ?? socket.authorizationError ?? null
      resolve({ at: Date.now(), isTrusted: socket.authorized, error, validFrom, validTo })
      socket.destroy()
    })
    socket.once('error', error => resolve({ at: Date.now(), isTrusted: false, error: error.message }))
  })

say({ at: Date.now() })
for await (const _ of createInterface({ input: process.stdin })) say(await handshake())
await sandbox.dispose()
