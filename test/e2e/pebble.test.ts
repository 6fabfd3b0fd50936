import { X509Certificate } from 'node:crypto'
import { Resolver } from 'node:dns/promises'
import { expect, test } from 'vitest'
import { fillSlots } from '../../sandbox/sandbox.ts'
import { serveHttpreq } from '../support/httpreq-challtestsrv.ts'
import { startPebble } from '../support/pebble.ts'
import { createRig } from '../support/rig.ts'

/** The built command, a settings file, real Pebble with its test DNS server: nothing of ours stands in between. */
test.each([
  ['every nonce is good', 0],
  ['20 % of the nonces are refused', 20],
])(
  'a rotation against Pebble, %s',
  async (_, nonceRejectPercent) => {
    const rig = await createRig()
    const pebble = await startPebble({ nonceRejectPercent })
    const httpreq = await serveHttpreq(pebble.challtestsrv)
    try {
      const { bound } = await fillSlots(rig.sandbox)
      const [root = ''] = await pebble.roots()
      await rig.configure(settings => {
        settings.sources = {
          pebble: {
            type: 'acme',
            directory: pebble.directoryUrl,
            termsOfServiceAgreed: true,
            solver: 'dns',
            caCertificates: pebble.caPem,
          },
        }
        settings.certificates.iot.source = 'pebble'
        settings.solvers.dns = {
          type: 'webhook',
          url: httpreq.url,
          propagation: { nameservers: [pebble.challtestsrv.dnsServer], every: '100ms' },
        }
        settings.targets[0].trustedRoots = `${rig.sandbox.ca.rootPem}${root}`
      })
      const { code, stdout, stderr } = await rig.cli(['rotate', '--json'])
      expect(code, stdout + stderr).toBe(0)
      const [result] = JSON.parse(stdout).results
      expect(result.outcome).toBe('rotated')
      const served = new X509Certificate(rig.sandbox.iotda.bound()?.certificatePem ?? '')
      expect(served.issuer).toContain('Pebble')
      expect(served.fingerprint256.replaceAll(':', '').toLowerCase()).toBe(result.after.fingerprint)
      expect(rig.sandbox.iotda.certificates().map(c => c.id)).toContain(bound)
      const resolver = new Resolver()
      resolver.setServers([pebble.challtestsrv.dnsServer])
      const left = await resolver.resolveTxt(`_acme-challenge.${rig.sandbox.domain}`).catch(() => [])
      expect(left).toEqual([])
    } finally {
      await Promise.all([httpreq.dispose(), pebble.dispose(), rig.dispose()])
    }
  },
  300_000,
)
