import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { put } from '../support/put.ts'
import {
  ADD,
  BIND,
  DAY_MS,
  DELETE,
  HOUR_MS,
  openDue,
  openScenario,
  type Scenario,
  warningsOf,
} from '../support/scenario.ts'

/** Does something once, when the n-th call of an operation arrives, before it takes effect. */
function when(s: Scenario, operation: string, act: () => void, nth = 1): void {
  let seen = 0
  s.faults.onCall(call => {
    if (call.operation !== operation) return
    seen += 1
    if (seen === nth) act()
  })
}

describe('before a run', () => {
  test('a person binds a fresh certificate: adopted, with one warning, and nothing is ordered', async () => {
    const { s } = await openDue()
    const theirs = await s.upload(-1, 89)
    s.iotda.bind(theirs)
    const result = await s.runTo({ outcome: 'idle', decision: { reason: 'fresh' } })
    expect(warningsOf(result)).toEqual(['adopted'])
    expect(warningsOf(await s.run())).toEqual([])
    expect(s.changes()).toEqual([])
    expect(s.obtained()).toBe(0)
    expect(s.boundId()).toBe(theirs)
  })

  test('a person binds one that is due: it is judged like ours', async () => {
    const { s, bound } = await openDue()
    const theirs = await s.upload(-75, 15)
    s.iotda.bind(theirs)
    s.iotda.deleteCertificate(bound)
    expect(await s.run()).toMatchObject({
      outcome: 'rotated',
      before: { serverCertificateId: theirs },
      deleted: [],
    })
    expect(s.ids()).toContain(theirs)
  })

  test.each([
    ['its names are wrong', ['other.example.com'], false],
    ['its names are wrong, and it is due', ['other.example.com'], true],
  ])('a person binds one that devices would refuse, %s: held', async (_, names, isDue) => {
    const { s } = await openDue()
    const theirs = await s.upload(-70, isDue ? 20 : 80, names)
    s.iotda.bind(theirs)
    const result = await s.runTo({ outcome: 'held', decision: { due: false, reason: 'held' } })
    expect(result.decision.detail).toContain('other.example.com')
    expect(warningsOf(result)).toEqual(['adopted', 'held'])
    expect(await s.run()).toMatchObject({ outcome: 'held' })
    expect(s.changes()).toEqual([])
    expect(s.boundId()).toBe(theirs)
    await s.run({ action: 'resume' })
    expect(await s.run({ force: true })).toMatchObject({
      outcome: 'rotated',
      after: { names: [s.domain] },
    })
  })

  test('a person deletes the other one', async () => {
    const s = await openScenario()
    const spare = await s.upload(-150, 30)
    const bound = await s.bindOne(20)
    s.iotda.deleteCertificate(spare)
    expect(await s.run()).toMatchObject({ outcome: 'rotated', deleted: [] })
    expect(s.ids()).toContain(bound)
  })
})

describe('between our look and our change', () => {
  test('a person binds a fresh certificate while the order is under way', async () => {
    const { s, bound } = await openDue()
    const theirs = await s.issue(-1, 89)
    let id = ''
    when(s, 'acme.Finalize', () => {
      id = s.iotda.upload(theirs.certPem, theirs.keyPem)
      s.iotda.bind(id)
    })
    await s.runTo({ outcome: 'idle', decision: { reason: 'fresh' }, deleted: [] })
    expect(s.boundId()).toBe(id)
    expect(s.ids()).toEqual([id, bound])
    expect(await s.run()).toMatchObject({ outcome: 'idle', error: null })
    expect(s.obtained()).toBe(1)
  })

  test('a person binds another one between the upload and the bind', async () => {
    const { s, bound } = await openDue()
    const theirs = await s.issue(-30, 40)
    let id = ''
    when(s, 'iotda.ShowDomainConfiguration', () => {
      s.iotda.deleteCertificate(bound)
      id = s.iotda.upload(theirs.certPem, theirs.keyPem)
      s.iotda.bind(id)
    })
    const result = await s.runTo({ outcome: 'idle', decision: { reason: 'fresh' } })
    expect(warningsOf(result)).toEqual(['adopted'])
    expect(s.changes()).toEqual([ADD])
    expect(s.boundId()).toBe(id)

    // Ours waits in the other slot, and is used without a new order when the time has come.
    expect(await s.later(20 * DAY_MS)).toMatchObject({ outcome: 'rotated' })
    expect(s.changes()).toEqual([BIND])
    expect(s.obtained()).toBe(1)
    expect(s.boundId()).not.toBe(id)
    expect(await s.run()).toMatchObject({ outcome: 'idle' })
  })

  test('a person binds the very one that is about to be deleted', async () => {
    const s = await openScenario()
    const spare = await s.upload(-150, 30)
    const bound = await s.bindOne(20)
    when(s, 'acme.Finalize', () => s.iotda.bind(spare))
    const result = await s.run()
    expect(result.deleted).toEqual([])
    expect(s.boundId()).toBe(spare)
    expect(s.ids()).toEqual([bound, spare])
    expect(s.changes()).toEqual([])
    expect(s.obtained()).toBe(1)
  })

  test('a person deletes the one that is about to be deleted', async () => {
    const s = await openScenario()
    const spare = await s.upload(-150, 30)
    await s.bindOne(20)
    when(s, 'iotda.ShowDomainConfiguration', () => s.iotda.deleteCertificate(spare))
    expect(await s.run()).toMatchObject({ outcome: 'rotated' })
    expect(s.obtained()).toBe(1)
  })

  test('a person changes the OCSP settings: theirs are sent back', async () => {
    const { s } = await openDue()
    when(s, 'iotda.CreateServerCertificate', () => {
      s.iotda.configure({ ocsp_ssl_enable: false })
    })
    expect(await s.run()).toMatchObject({ outcome: 'rotated' })
    expect(s.iotda.configurations()[0]?.server_certificate_config).toEqual({
      ocsp_stapling_enable: false,
      ocsp_ssl_enable: false,
    })
    expect(s.changes()).toEqual([ADD, BIND])
  })

  test('a person binds another one while the wrong certificate is verified: theirs stays', async () => {
    const { s, bound } = await openDue()
    const wrong = await s.issue(-1, 80, ['wrong.example.com'])
    const theirs = await s.issue(-1, 89)
    let id = ''
    s.iotda.onBind(() => {
      s.device.switches.serve = s.boundId() === bound || s.boundId() === id ? null : wrong
    })
    // The third look at the binding is the one before it is put back.
    when(
      s,
      'iotda.ShowDomainConfiguration',
      () => {
        s.iotda.deleteCertificate(bound)
        id = s.iotda.upload(theirs.certPem, theirs.keyPem)
        s.iotda.bind(id)
        s.device.switches.serve = null
      },
      3,
    )
    expect(await s.run()).toMatchObject({ outcome: 'idle' })
    expect(s.boundId()).toBe(id)
    expect(s.changes()).toEqual([ADD, BIND])
  })
})

describe('between two runs', () => {
  /** Ours is uploaded and waits, as asked. */
  async function uploaded() {
    const opened = await openDue()
    const { s } = opened
    expect(await s.run({ until: 'add' })).toMatchObject({ outcome: 'suspended' })
    const ours = s.ids()[0] ?? ''
    expect(await s.run({ action: 'resume' })).toMatchObject({ outcome: 'idle' })
    s.changes()
    return { ...opened, ours }
  }

  test('a person binds what we have uploaded: verified, ours, and its slot can be used again', async () => {
    const { s, bound, ours } = await uploaded()
    s.iotda.bind(ours)
    expect(await s.run()).toMatchObject({ outcome: 'rotated', decision: { reason: 'resume' } })
    expect(s.changes()).toEqual([])
    expect(await s.run()).toMatchObject({ outcome: 'idle' })
    expect(await s.later(2 * HOUR_MS, { force: true })).toMatchObject({
      outcome: 'rotated',
      deleted: [{ serverCertificateId: bound }],
    })
  })

  test('a person deletes what we have uploaded: it is uploaded again, without a new order', async () => {
    const { s, ours } = await uploaded()
    s.iotda.deleteCertificate(ours)
    expect(await s.run()).toMatchObject({ outcome: 'rotated' })
    expect(s.changes()).toEqual([ADD, BIND])
    expect(s.obtained()).toBe(1)
  })

  test('a person binds the previous certificate again: held, and the one put away is not bound again', async () => {
    const { s, bound } = await openDue()
    expect(await s.run()).toMatchObject({ outcome: 'rotated' })
    s.clock.advance(HOUR_MS)
    s.iotda.bind(bound)
    s.changes()
    const result = await s.runTo({ outcome: 'held' })
    expect(warningsOf(result)).toContain('held')
    expect(await s.later(DAY_MS)).toMatchObject({ outcome: 'held', warnings: [] })
    expect(s.changes()).toEqual([])
    expect(s.boundId()).toBe(bound)

    expect(await s.run({ action: 'resume' })).toMatchObject({ outcome: 'idle' })
    expect(await s.run()).toMatchObject({ outcome: 'rotated' })
    expect(s.obtained()).toBe(2)
  })

  test('a person binds the previous one again before the new one was ever served', async () => {
    const { s, bound } = await openDue()
    s.device.switches.lagMs = Number.POSITIVE_INFINITY
    expect(await s.run()).toMatchObject({ outcome: 'suspended' })
    s.iotda.bind(bound)
    s.device.settle()
    s.clock.advance(HOUR_MS)
    s.changes()
    expect(await s.run()).toMatchObject({ outcome: 'held' })
    expect(s.changes()).toEqual([])
  })
})

describe('a second rotator with its own state', () => {
  async function twoRotators() {
    const s = await openScenario()
    const other = join(s.rig.folder, 'other.json')
    await writeFile(other, JSON.stringify(s.settings(put({ 'store.path': './other-state' }))))
    await s.bindOne(20)
    return { s, first: () => s.run(), second: () => s.run({}, { settingsFile: other }), other }
  }

  test('they take turns: the second sees a fresh certificate', async () => {
    const { s, first, second } = await twoRotators()
    expect(await first()).toMatchObject({ outcome: 'rotated' })
    for (const run of [second, first, second, first]) {
      s.clock.advance(HOUR_MS / 2)
      expect(await run()).toMatchObject({ outcome: 'idle' })
    }
    expect(s.obtained()).toBe(1)
    // Due again: whoever comes first.
    s.clock.advance(62 * DAY_MS)
    const result = await second()
    expect(result.outcome).toBe('rotated')
    for (const run of [first, second, first]) expect(await run()).toMatchObject({ outcome: 'idle' })
    expect(s.obtained()).toBe(2)
    expect(s.changes()).toEqual([ADD, BIND, DELETE, ADD, BIND])
  })

  test('at once: whatever happens, what is bound was never deleted, and they settle', async () => {
    const { s, first, second, other } = await twoRotators()
    const { clock } = s
    const outcomes = await Promise.all([
      s.rig.result({}, { clock }),
      s.rig.result({}, { clock, settingsFile: other }),
    ])
    expect(outcomes.map(o => o.outcome)).toContain('rotated')
    expect(s.iotda.bound()).not.toBeNull()
    const obtained = s.obtained()
    const settled: string[] = []
    for (const run of [first, second, first, second, first, second]) {
      clock.advance(2 * HOUR_MS)
      settled.push((await run()).outcome)
    }
    expect(settled.slice(-2)).toEqual(['idle', 'idle'])
    expect(s.obtained()).toBe(obtained)
  })
})
