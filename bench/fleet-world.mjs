import { createHash, X509Certificate } from 'node:crypto'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:tls'
import { createRoot, issueLeaf } from '../dist/sandbox/pki.mjs'

/**
 * A thousand instances of IoTDA on one port, told apart by `Instance-Id`, and one device port for all of them: what an
 * idle check asks, in the vendor's wire format, each answer after `latencyMs`. `ratePerSecond`: more than that are
 * answered 429. Its own process (`node bench/fleet-world.mjs COUNT LATENCY_MS`), so that its work is not measured.
 */
const [count = 1_000, latencyMs = 100, ratePerSecond = 0] = process.argv.slice(2).map(Number)
const DAY_MS = 86_400_000
const root = await createRoot()
const names = ['*.fleet.example.com']
const leaf = await issueLeaf({
  names,
  issuer: root,
  notBefore: new Date(Date.now() - 10 * DAY_MS),
  notAfter: new Date(Date.now() + 80 * DAY_MS),
})
const bound = new X509Certificate(leaf.chainPem)
const iotdaDate = date => new Date(date).toISOString().replace(/[-:]|\.\d+/g, '')
const certificate = {
  server_certificate_id: '6b05e14c290c30f7f0000001',
  common_name: names[0],
  effective_date: iotdaDate(bound.validFrom),
  expiry_date: iotdaDate(bound.validTo),
  certificate_owner: `CN=${names[0]}`,
  certificate_issuer: 'CN=Sandbox',
}
const calls = new Map()
let refused = 0
const arrivals = []
const isTooFast = () => {
  if (ratePerSecond === 0) return false
  const now = Date.now()
  while (arrivals.length > 0 && now - arrivals[0] >= 1_000) arrivals.shift()
  if (arrivals.length >= ratePerSecond) return true
  arrivals.push(now)
  return false
}

function answer(path, instance) {
  if (path.endsWith('/server-certificates'))
    return ['ListServerCertificates', { server_certificates: [certificate], page: { count: 1 } }]
  if (path.includes('/server-certificates/'))
    return ['ShowServerCertificate', { ...certificate, certificate_pem: leaf.chainPem }]
  const configuration = {
    configuration_id: '6b05e14c290c30f7f0000002',
    domain_name: `t${Number.parseInt(instance, 10)}.fleet.example.com`,
    access_protocol: 'Device-MQTTS',
    server_certificate_id: certificate.server_certificate_id,
    server_certificate_config: { ocsp_stapling_enable: false },
  }
  return ['ListDomainConfigurations', { domain_configurations: [configuration], page: { count: 1 } }]
}

const iotda = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  if (request.url === '/stop') return void process.exit(0)
  if (request.url === '/calls')
    return void response.end(JSON.stringify({ refused, ...Object.fromEntries(calls) }))
  setTimeout(() => {
    if (isTooFast()) {
      refused += 1
      response.writeHead(429, { 'content-type': 'application/json', 'retry-after': '1' })
      return void response.end(
        '{"error_code":"APIG.0308","error_msg":"The throttling threshold has been reached."}',
      )
    }
    const [operation, body] = answer(request.url.split('?')[0], request.headers['instance-id'])
    calls.set(operation, (calls.get(operation) ?? 0) + 1)
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(body))
  }, latencyMs)
})
const device = createTlsServer({ cert: leaf.chainPem, key: leaf.keyPem }, socket => {
  socket.on('error', () => socket.destroy())
  socket.resume()
})
device.on('tlsClientError', () => {})
const listen = server =>
  new Promise(done => server.listen(0, '127.0.0.1', 8_192, () => done(server.address().port)))
const [port, devicePort] = [await listen(iotda), await listen(device)]
const fingerprint = createHash('sha256').update(bound.raw).digest('hex')
process.stdout.write(
  `${JSON.stringify({ url: `http://127.0.0.1:${port}`, devicePort, rootPem: root.certPem, fingerprint, count })}\n`,
)
