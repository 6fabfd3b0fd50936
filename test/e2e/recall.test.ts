/** The CA wants every certificate back at once: most urgent first, its limits kept, over as many runs as it takes. */
import { expect, test } from 'vitest'
import { receiveAlerts } from '../support/alert-receiver.ts'
import { openFleet } from '../support/fleet.ts'
import { DAY_MS, HOUR_MS } from '../support/scenario.ts'

const TARGETS = Number(process.env.RECALL_TARGETS ?? 18)
const BURST = Math.ceil(TARGETS / 3)
const REFILL_S = 600
const AT_ONCE = 4
const EVERY_MS = HOUR_MS / 2
/** So little that each run is cut in the midst of its work. */
const BUDGET_MS = Number(process.env.RECALL_BUDGET_MS ?? 240_000)

test(
  'a recall of everything is over after the runs that the CA allows; nothing is lost where a run is cut',
  async () => {
    const receiver = await receiveAlerts()
    const names = Array.from({ length: TARGETS }, (_, i) => `t${i}`)
    // How urgent each is, in no order; they have 43 to 88 days left.
    const rankOf = (i: number): number => (i * 7 + 17) % TARGETS
    const left = (i: number): number => 43 + (45 * rankOf(i)) / TARGETS
    const { s, members } = await openFleet(names, {
      daysLeft: left,
      change: settings => {
        for (const name of names) settings.certificates[name].ari = true
        settings.schedule = { concurrency: AT_ONCE }
        settings.notifiers = [{ type: 'webhook', url: receiver.url }]
      },
    })
    await s.rig.run({}, { clock: s.clock })
    for (const { certId } of s.ca.issued)
      s.ca.setRenewalInfo(certId, {
        start: new Date(s.clock.now() - DAY_MS),
        end: new Date(s.clock.now() - HOUR_MS),
      })
    s.ca.options.limits = {
      ...s.ca.options.limits,
      newOrders: { burst: BURST, refillSeconds: REFILL_S },
    }
    // The CA takes its time, so that runs end while orders are under way.
    s.ca.options.asyncFinalizeMs = 90_000
    s.clock.advance(7 * HOUR_MS)
    s.faults.clearCalls()
    const startedAt = s.clock.now()
    const outcomes: string[] = []
    let runs = 0
    const before = members.map(m => m.boundId())
    const isLeft = () => members.some((m, i) => m.boundId() === before[i])
    for (; isLeft() && runs < 3 * TARGETS; runs += 1) {
      const { results } = await s.rig.run({}, { clock: s.clock, budgetMs: BUDGET_MS })
      outcomes.push(...results.map(r => `${r.outcome} ${r.error?.code ?? ''}`.trim()))
      s.clock.advance(EVERY_MS - ((s.clock.now() - startedAt) % EVERY_MS))
    }
    const hours = (s.clock.now() - startedAt) / HOUR_MS
    const orders = s.faults.calls.filter(c => c.operation === 'acme.NewOrder')
    const refused = orders.filter(c => c.status === 429).length
    // For bench/results/recall.md.
    if (process.env.RECALL_TARGETS)
      process.stdout.write(
        `${TARGETS}: ${runs} runs, ${hours} h, ${orders.length} orders asked, ${refused} refused\n`,
      )
    expect(isLeft()).toBe(false)
    // One certificate for each, never a second one; each is served.
    expect(s.obtained()).toBe(TARGETS)
    const { results: loud, counted } = await s.rig.run({}, { clock: s.clock })
    expect(loud.filter(r => r.outcome === 'idle').length + (counted?.idle ?? 0)).toBe(TARGETS)
    expect(outcomes.filter(it => it.startsWith('failed'))).toEqual([])
    // Refused are at most those that asked at the same time.
    expect(refused).toBeLessThanOrEqual(runs * AT_ONCE)
    // Most urgent first, as far as several at once allow.
    const placed = s.ca.issued
      .filter(c => c.accountUrl !== null)
      .map(c => Number(/t(\d+)\./.exec(c.names[0] ?? '')?.[1]))
    const ranks = placed.map(rankOf)
    for (const [at, rank] of ranks.entries()) expect(Math.abs(rank - at)).toBeLessThanOrEqual(2 * AT_ONCE)
    // Not faster than the CA allows, and not much slower.
    expect(hours).toBeGreaterThanOrEqual(((TARGETS - BURST) * REFILL_S) / 3_600 - 1)
    expect(hours).toBeLessThanOrEqual(((TARGETS - BURST) * REFILL_S) / 3_600 + 2)
  },
  60_000 + TARGETS * 4_000,
)
