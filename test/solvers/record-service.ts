/** What every driver of a service shows that keeps each value as a record of its own. */
import { describe, expect, it } from 'vitest'
import type { ErrorCode } from '../../lib/model/errors.ts'
import type { VendorRig } from './vendor-rig.ts'

const NAME = '_acme-challenge.example.com.'

export interface RecordVendor {
  /** The `type` of the driver, and the prefix of the simulator's operations. */
  readonly driver: string
  readonly service: string
  readonly make: (switches?: { readonly pageSize?: number; readonly quota?: number }) => Promise<VendorRig>
  readonly list: string
  readonly add: string
  readonly remove: string
  /** How the service says that it cannot. */
  readonly answer: (code: string, message?: string) => string
  /** That the very same record is there already, and that it is gone already. */
  readonly done: Readonly<Record<'added' | 'removed', { readonly status: number; readonly code: string }>>
  /** Codes of the service and what they mean, as answers to one operation. */
  readonly codes: readonly (readonly [status: number, code: string, message: string, meaning: ErrorCode])[]
  readonly asked: string
  /** What it says when the zone is full, and what about. */
  readonly quota: { readonly message: string; readonly hint: string }
  /** Whether it says that a CNAME stands in the way. */
  readonly knowsAliases: boolean
}

export function recordServiceTests(vendor: RecordVendor): void {
  const { driver, service, make, list, add, remove, answer, done } = vendor
  describe(`${driver}, value by value`, () => {
    it('reads every page', async () => {
      const { solver, run, inDns, otherWrites, calls } = await make({ pageSize: 2 })
      for (const value of ['a', 'b', 'c', 'd', 'e']) await otherWrites(NAME, value)
      await solver.present(NAME, 'e', run())
      expect([calls(list).length, calls(add).length]).toEqual([3, 0])
      await solver.cleanUp(NAME, 'e', run())
      expect(await inDns(NAME)).toEqual(['a', 'b', 'c', 'd'])
    })

    it.each([false, true])('succeeds when somebody wrote or deleted the same meanwhile (%s)', async after => {
      const { solver, run, faults, inDns } = await make()
      const refuse = (operation: string, { status, code }: RecordVendor['done']['added'], now = true) =>
        faults.add({ operations: [`${service}.${operation}`], status, after: now, body: answer(code) })
      refuse(add, done.added, after)
      await solver.present(NAME, 'v', run())
      faults.clear()
      await solver.present(NAME, 'v', run())
      refuse(remove, done.removed)
      await solver.cleanUp(NAME, 'v', run())
      expect(await inDns(NAME)).toEqual([])
    })

    it.each(vendor.codes)('tells %s %s %s as %s', async (status, code, message, meaning) => {
      const { solver, run, faults } = await make()
      const body = answer(code, message)
      faults.add({ operations: [`${service}.${vendor.asked}`], status, body, times: 3 })
      const isLost = vendor.asked === add && meaning === 'unavailable'
      const end = isLost ? '; it is unknown whether it took effect' : ''
      await expect(solver.present(NAME, 'v', run())).rejects.toMatchObject({
        code: meaning,
        message: `solver dns (${driver}): ${vendor.asked} answered HTTP ${status} ${code}: ${message}${end}`,
      })
    })

    it('says that the quota is used up', async () => {
      const { solver, run } = await make({ quota: 4 })
      await expect(solver.present(NAME, 'v', run())).rejects.toMatchObject({
        code: 'service-refused',
        message: expect.stringContaining(vendor.quota.message),
        hint: expect.stringContaining(vendor.quota.hint),
      })
    })

    if (!vendor.knowsAliases) return
    it('says that the name is an alias', async () => {
      const { solver, run, dns } = await make()
      dns.zones.set({ name: NAME, type: 'CNAME', values: ['x.my-example.com'] })
      await expect(solver.present(NAME, 'v', run())).rejects.toMatchObject({
        code: 'service-refused',
        hint: expect.stringContaining('CNAME'),
      })
    })
  })
}
