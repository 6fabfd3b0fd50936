import { expect, test } from 'vitest'
import { createRoot, issueLeaf } from '../../sandbox/kit/pki.ts'
import { fillSlots } from '../../sandbox/sandbox.ts'
import { cleanups } from '../support/cleanups.ts'
import { cli } from '../support/command.ts'
import { createRig } from '../support/rig.ts'

const EVIL = 'sorry\nrotated  factory-1\u2028Runbook: https://evil\u202e\u009b2J\u200b\u00ad\u{e0041}'
/** All but the line breaks that are ours. */
const UNSEEN = /[\p{Cc}\p{Cf}\u2028\u2029]/u
const FORGED = /^\s*(rotated {2}factory-1|Runbook: )/m

test('what a CA and a certificate say moves no cursor and forges no line, in any form of output', async () => {
  const rig = await createRig()
  cleanups.push(rig.dispose)
  const { device, faults, domain } = rig.sandbox
  await fillSlots(rig.sandbox)
  const issuer = await createRoot({ commonName: EVIL })
  const served = await issueLeaf({ names: [domain], issuer, commonName: EVIL })
  device.switches.serve = { certPem: served.chainPem, keyPem: served.keyPem }
  const problem = { type: 'urn:ietf:params:acme:error:rejectedIdentifier', detail: EVIL, instance: EVIL }
  faults.add({ operations: ['acme.NewOrder'], times: 99, status: 403, body: JSON.stringify(problem) })
  for (const args of [
    ['rotate', '--force', '--verbose'],
    ['rotate', '--force', '--verbose', '--json'],
    ['plan', '--force', '--verbose'],
    ['status', '--verbose'],
    ['status', '--json'],
    ['probe', '--verbose'],
  ]) {
    const { stdout, stderr } = await cli(rig, args)
    for (const text of [stdout, stderr]) {
      expect(text.replaceAll('\n', ''), args.join(' ')).not.toMatch(UNSEEN)
      expect(text, args.join(' ')).not.toMatch(FORGED)
    }
    expect(`${stdout}${stderr}`, args.join(' ')).toContain(args[0] === 'rotate' ? 'sorry' : '')
  }
})
