import fc from 'fast-check'
import * as v from 'valibot'
import { beforeAll, describe, expect, it } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import { exchange } from '../../lib/dns/resolve/exchange.ts'
import { decodeMessage, encodeRequest, OPCODE, TYPE } from '../../lib/dns/resolve/message.ts'
import { signMessage, verifyAnswer } from '../../lib/dns/tsig.ts'
import rfc2136 from '../../lib/solvers/rfc2136.ts'
import { createTap } from '../../sandbox/dns/vendors/rfc2136.ts'
import { createFaults } from '../../sandbox/kit/faults.ts'
import { type SolverRig, solverContract } from '../contract/solver.ts'
import { startBind } from '../support/bind.ts'
import { type BindBinaries, bindBinaries } from '../support/bind-binaries.ts'
import { cleanups } from '../support/cleanups.ts'
import { createContext, createRun, createTestClock, createTestLog, noKeys, textsIn, ZONES } from './rig.ts'

/** Getting BIND the first time downloads it. */
const GET_MS = 300_000
const NAME = '_acme-challenge.example.com.'
const KEY = 'acme-update'
const READER = 'acme-reader'
const SECRET = Buffer.from('a secret of thirty-two characters').toString('base64')
const WRONG = Buffer.from('the wrong one of 32 characters ..').toString('base64')

let binaries: BindBinaries
beforeAll(async () => {
  binaries = await bindBinaries()
}, GET_MS)

const zoneOf = (name: string): string =>
  ZONES.toSorted((a, b) => b.length - a.length).find(zone => `.${name}`.endsWith(`.${zone}.`)) ?? ''

const make = async (settings: object = {}, algorithm = 'hmac-sha256') => {
  // The server's clock is the system's.
  const clock = createTestClock(Date.now())
  const { log, entries } = createTestLog()
  const keys = [KEY, READER].map(name => ({ name, algorithm, secret: SECRET }))
  const bind = await startBind(binaries, { zones: ZONES, keys, allowUpdate: [`key "${KEY}"`] })
  const faults = createFaults()
  const tap = await createTap({ faults, port: bind.port })
  cleanups.push(bind.dispose, tap.dispose)
  const context = createContext(clock, log, noKeys)
  const solverOf = (keySecret: string, more: object = {}) => {
    const given = { server: `127.0.0.1:${tap.port}`, keyName: `${KEY}.`, keySecret: 'env:K', algorithm }
    const parsed = v.parse(rfc2136.settings, { ...given, ...settings, ...more })
    return rfc2136.create({ ...parsed, keySecret: secret(keySecret) }, context)
  }
  const rig: SolverRig = {
    solver: solverOf(SECRET),
    stranger: solverOf(WRONG),
    clock,
    run: over => createRun(clock, log, over),
    faults,
    operations: ['rfc2136.Query', 'rfc2136.Update'],
    writes: ['rfc2136.Update'],
    removals: ['rfc2136.Update'],
    // Response codes: NOTAUTH, REFUSED.
    answers: { unauthorizedStatus: 9, forbidden: { status: 5 }, throttled: {} },
    unknownZone: 'solver-zone-missing',
    inDns: name => textsIn(bind, name),
    otherWrites: (name, value) => bind.add(zoneOf(name), name.slice(0, -1), 'TXT', value),
    stop: tap.dispose,
    secrets: [SECRET, WRONG],
    logged: () => JSON.stringify(entries),
  }
  return { ...rig, bind, solverOf }
}

solverContract('rfc2136', make, { throttles: false })

describe('rfc2136', () => {
  it.each([
    ['hmac-sha256', 'udp'],
    ['hmac-sha512', 'tcp'],
    ['hmac-sha512', 'udp'],
  ])('signs with %s over %s', async (algorithm, transport) => {
    const { solver, run, inDns, faults } = await make({ transport }, algorithm)
    await solver.prepare(NAME, run())
    await solver.present(NAME, 'v', run())
    expect(await inDns(NAME)).toEqual(['v'])
    await solver.cleanUp(NAME, 'v', run())
    expect(await inDns(NAME)).toEqual([])
    expect(new Set(faults.calls.map(({ method }) => method))).toEqual(new Set([transport.toUpperCase()]))
  })

  it('proves with an update of nothing that the key may update the zone', async () => {
    const { solver, solverOf, run, faults, inDns } = await make()
    const zone = await solver.prepare(NAME, run())
    expect(zone).toEqual({ name: expect.stringContaining('example.com'), nameServers: [] })
    expect(faults.calls.map(({ operation }) => operation)).toEqual(['rfc2136.Query', 'rfc2136.Update'])
    expect(await inDns(NAME)).toEqual([])
    await expect(solverOf(SECRET, { keyName: READER }).prepare(NAME, run())).rejects.toMatchObject({
      code: 'forbidden',
      message: 'solver dns (rfc2136): UPDATE of _acme-challenge.example.com. in example.com answered REFUSED',
      hint: expect.stringContaining('allow-update'),
    })
  })

  it('says that the server does not know the key', async () => {
    const { solverOf, run } = await make()
    await expect(solverOf(SECRET, { keyName: 'nobody' }).present(NAME, 'v', run())).rejects.toMatchObject({
      code: 'unauthorized',
      message: expect.stringContaining('BADKEY'),
      hint: expect.stringContaining('keyName'),
    })
  })

  it('says that the clocks differ', async () => {
    const { solver, run, clock } = await make()
    await clock.sleep(3_600_000)
    await expect(solver.present(NAME, 'v', run())).rejects.toMatchObject({
      code: 'unauthorized',
      message: expect.stringContaining('BADTIME'),
      hint: expect.stringContaining('clock'),
    })
  })

  it('says that the name is an alias, where the server would keep silent', async () => {
    const { solver, run, bind } = await make()
    await bind.add('example.com', NAME.slice(0, -1), 'CNAME', 'x.my-example.com')
    for (const attempt of [() => solver.prepare(NAME, run()), () => solver.present(NAME, 'v', run())])
      await expect(attempt()).rejects.toMatchObject({
        code: 'service-refused',
        message: expect.stringContaining('YXRRSET'),
        hint: expect.stringContaining('CNAME'),
      })
  })

  it('believes no answer without a signature', async () => {
    const { solver, run, faults, inDns } = await make()
    faults.add({ operations: ['rfc2136.Update'], status: 0 })
    await expect(solver.present(NAME, 'v', run())).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('the TSIG signature of the answer is missing'),
    })
    expect(await inDns(NAME)).toEqual([])
  })

  it.each([
    [4, 'NOTIMP', 'service-refused'],
    [9, 'NOTAUTH', 'solver-zone-missing'],
    [11, 'rcode 11', 'service-refused'],
  ])('tells response code %s (%s) as %s', async (status, name, code) => {
    const { solver, run, faults } = await make()
    faults.add({ operations: ['rfc2136.Update'], status })
    await expect(solver.present(NAME, 'v', run())).rejects.toMatchObject({
      code,
      message: expect.stringMatching(new RegExp(` answered ${name}$`)),
    })
  })

  it('says that the server has no address', async () => {
    const { solverOf, run } = await make()
    const solver = solverOf(SECRET, { server: 'ns.invalid' })
    await expect(solver.present(NAME, 'v', run())).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringMatching(/^solver dns \(rfc2136\): SOA of .*ns\.invalid/),
    })
  })
})

describe('rfc2136 messages', () => {
  it('verifies the answer of the server, and nothing that differs from it in any byte', async () => {
    const { bind } = await make()
    const key = { name: KEY, algorithm: 'hmac-sha256', secret: secret(SECRET) } as const
    const question = { name: 'example.com', type: TYPE.SOA }
    const request = encodeRequest({ id: 7, opcode: OPCODE.query, question })
    const { message, mac } = signMessage(request, key, Date.now())
    const server = { label: 'bind', address: '127.0.0.1', port: bind.port, transport: 'tcp' } as const
    const answer = await exchange(server, message, 'test', new AbortController().signal)
    const verdictOf = (bytes: Buffer, requestMac = mac) => {
      const decoded = decodeMessage(bytes)
      return decoded === null ? null : verifyAnswer(bytes, decoded, key, requestMac, Date.now()).kind
    }
    expect(verdictOf(answer)).toBe('verified')
    expect(verdictOf(answer, Buffer.alloc(32))).toBe('wrong')
    const passing = [...answer.keys()].filter(at => {
      const changed = Buffer.from(answer)
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at)
      return verdictOf(changed) === 'verified'
    })
    // The id on the wire may change on the way, and the names and lifetime of the TSIG record are not taken from it.
    const tsig = decodeMessage(answer)?.records.at(-1)?.start ?? 0
    const beside = passing.filter(at => at > 1 && at < tsig)
    expect(beside).toEqual([])
  })

  it('reads any bytes without failing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
        const answer = decodeMessage(Buffer.from(bytes))
        expect(answer === null || answer.records.length >= 0).toBe(true)
      }),
    )
  })
})
