/** Our ACME client against CAs of other people; the process dies at every outside call, and a later one goes on. */
import { X509Certificate } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../lib/base/time.ts'
import type { DnsSolver } from '../../lib/contracts.ts'
import { createHttp } from '../../lib/http/client.ts'
import { keyFits } from '../../lib/x509/key.ts'
import { mortal } from '../acme/crash.ts'
import { asSecret, createRun, createSolver, createSource, requestOf, specOf } from '../acme/rig.ts'
import { startDns } from '../sandbox/acme-ca-rig-dns.ts'
import { createChalltestsrvSolver } from '../support/challtestsrv-solver.ts'
import { createJournal, createSourceMemory } from '../support/memory.ts'
import { startPebble } from '../support/pebble.ts'
import { STEP_CA, startStepCa } from '../support/step-ca.ts'
import { goProgram, ran } from '../support/strangers.ts'

interface World {
  readonly directory: string
  readonly caPem: string
  readonly solver: DnsSolver
  /** TXT values that are there now. */
  readonly left: () => readonly string[]
}

/** Waits are short: it is the order of calls that is tried here. */
const hasty: typeof systemClock = {
  ...systemClock,
  sleep: (durationMs, signal) => systemClock.sleep(Math.min(durationMs, 50), signal),
}
const NAMES = ['example.com', '*.example.com']

/** Dies at its n-th call, or never; then another process goes on with what is left. */
async function killedAt(world: World, n: number, when: 'before' | 'after') {
  const { directory, caPem, solver } = world
  const http = createHttp({ caCertificates: caPem })
  const outside = { http, solver, journal: createJournal(), memory: createSourceMemory() }
  const process = mortal(outside, n, when)
  const obtain = async (given: typeof outside | typeof process) => {
    const run = createRun(hasty, 60_000)
    return createSource(given, { directory }, run).obtain(requestOf(specOf(NAMES)), given.journal, run)
  }
  const first = await obtain(process).catch(() => null)
  const second = process.dead ? await obtain(outside) : first
  const { keyPem } = outside.journal
  await http.close()
  return { process, second, keyPem }
}

async function killedEverywhere(world: World): Promise<number> {
  let kills = 0
  for (const when of ['before', 'after'] as const) {
    for (let n = 1; ; n += 1) {
      const { process, second, keyPem } = await killedAt(world, n, when)
      const where = `${when} ${process.calls.at(-1)} (${n})`
      expect(second?.kind, where).toBe('obtained')
      const { chainPem } = second as { chainPem: string }
      const leaf = new X509Certificate(chainPem)
      expect(keyFits(asSecret(keyPem ?? ''), leaf), where).toBe(true)
      expect(leaf.subjectAltName, where).toContain('DNS:*.example.com')
      expect(world.left(), where).toEqual([])
      if (!process.dead) break
      kills += 1
    }
  }
  return kills
}

test('step-ca: killed at every outside call, a later run gets the certificate, and no TXT value is left', async () => {
  const dns = await startDns()
  const ca = await startStepCa(await goProgram('step-ca', STEP_CA.module), dns.address)
  onTestFinished(ca.dispose)
  const kills = await killedEverywhere({
    directory: ca.directoryUrl,
    caPem: ca.caPem,
    solver: createSolver({ dns }, []),
    left: () => [...dns.txt.values()].flat(),
  })
  expect(kills).toBeGreaterThan(50)
  await ran('step-ca (Smallstep)', STEP_CA.version, `issued to our client, killed at ${kills} calls`)
}, 240_000)

test('Pebble: the same', async () => {
  const pebble = await startPebble({ authzReusePercent: 0 })
  onTestFinished(pebble.dispose)
  const solver = createChalltestsrvSolver(pebble.challtestsrv)
  const kills = await killedEverywhere({
    directory: pebble.directoryUrl,
    caPem: pebble.caPem,
    solver,
    left: () => [...solver.values.values()].flat(),
  })
  expect(kills).toBeGreaterThan(50)
  await ran('Pebble (ISRG)', '>= 2.10', `issued to our client, killed at ${kills} calls`)
}, 240_000)
