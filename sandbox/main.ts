import { writeFile } from 'node:fs/promises'
import { fillSlots, startSandbox, withRsa } from './sandbox.ts'

/** `node dist/sandbox/main.mjs FILE`: starts the sandbox, writes a settings file for it, and stays. */
const file = process.argv[2] ?? 'sandbox.json'
const sandbox = await startSandbox()
await fillSlots(sandbox, 5, 'rsa-2048')
await writeFile(file, `${JSON.stringify(sandbox.settings(withRsa), null, 2)}\n`, { mode: 0o600 })
console.log(`sandbox is up; settings: ${file}
  IoTDA      ${sandbox.iotda.url}
  device     mqtts://${sandbox.device.host}:${sandbox.device.port} (SNI ${sandbox.domain})
  ACME CA    ${sandbox.ca.directoryUrl}
  DNS        127.0.0.1:${sandbox.dns.port}, over HTTPS ${sandbox.dnsHttps.queryUrl}, httpreq ${sandbox.httpreq.url}, Huawei DNS ${sandbox.huaweiDns.url}
  faults     POST, GET, DELETE ${sandbox.iotda.url}/_sandbox/faults; log: GET ${sandbox.iotda.url}/_sandbox/calls
Ctrl-C ends it.`)
process.once('SIGINT', () => void sandbox.dispose().then(() => process.exit(0)))
