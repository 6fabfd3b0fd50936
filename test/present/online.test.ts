/** The curve of devices online, and the metrics of the same. */
import { expect, test } from 'vitest'
import { emfLines } from '../../lib/present/emf.ts'
import { CHINESE } from '../../lib/present/page/chinese.ts'
import { ENGLISH } from '../../lib/present/page/english.ts'
import { onlineOf } from '../../lib/present/page/online.ts'
import { prometheusText } from '../../lib/present/prometheus.ts'
import type { Answer } from '../../lib/report/answer.ts'
import type { TargetResult } from '../../lib/report/result.ts'
import { fleet } from './fleet.ts'

const at = (hour: number): string => `2026-06-15T${String(hour).padStart(2, '0')}:00:00.000Z`
const online = {
  boundAt: at(10),
  counts: [
    { at: at(8), count: 199, usual: 200 },
    { at: at(10), count: 200, usual: 200 },
    { at: at(11), count: 120, usual: 200 },
    { at: at(12), count: 190, usual: null },
  ],
}
function counted(): TargetResult {
  const [result] = fleet(1).results
  if (!result?.kept) throw new Error('no result')
  const last = { at: at(12), count: 190, usual: 199.6, verdict: 'back' as const }
  return { ...result, kept: { ...result.kept, online }, online: last }
}

test('the curve says in words what it shows: how many, how many are usual, the bind, the fewest since', () => {
  const { markup } = onlineOf(counted(), ENGLISH) ?? { markup: '' }
  expect(markup).toContain(
    'aria-label="Devices online: 190 at 2026-06-15T12:00:00.000Z, how many are usual is not known, a certificate was bound at 2026-06-15T10:00:00.000Z, 120 at least since then"',
  )
  expect(markup.match(/class="(count|usual|turn)"/g)).toEqual([
    'class="usual"',
    'class="count"',
    'class="turn"',
  ])
})

test('in Chinese as well', () => {
  expect(onlineOf(counted(), CHINESE)?.markup).toContain('在线设备：2026-06-15T12:00:00.000Z 为 190 台')
})

test('where nothing was counted there is no curve', () => {
  const [result] = fleet(1).results
  expect(result && onlineOf(result, ENGLISH)).toBeNull()
})

test('a bind before the first count that is kept is not drawn', () => {
  const result = counted()
  const kept = result.kept && { ...result.kept, online: { ...online, boundAt: at(1) } }
  const { markup } = onlineOf({ ...result, ...(kept ? { kept } : {}) }, ENGLISH) ?? { markup: '' }
  expect(markup).not.toContain('class="turn"')
})

test('metrics: of Prometheus, and of CloudWatch where all are asked for', () => {
  const answer: Answer = {
    ...{ version: 1, trigger: 'schedule', ok: true, startedAt: at(12) },
    ...{ runId: 'r', finishedAt: at(12), results: [counted()] },
  }
  expect(prometheusText(answer)).toMatch(/^iotda_devices_online\{target="[^"]+"\} 190$/m)
  const lines = (metrics: 'few' | 'all') => emfLines(answer, 'f', metrics).map(line => JSON.parse(line))
  const [, all] = lines('all')
  expect(all).toMatchObject({ DevicesOnline: 190, DevicesUsual: 200 })
  expect(JSON.stringify(all._aws)).toContain('"DevicesOnline"')
  const [, few] = lines('few')
  expect(few).toMatchObject({ DevicesOnline: 190 })
  expect(JSON.stringify(few._aws)).not.toContain('DevicesOnline')
})
