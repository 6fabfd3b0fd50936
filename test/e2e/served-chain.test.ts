/** Devices see what the port sends, not what is in a slot: that is what an idle look has them judge. */
import { expect, test } from 'vitest'
import type { TargetResult } from '../../lib/report/result.ts'
import { openScenario } from '../support/scenario.ts'

/** One certificate is bound, and fresh; its chain in two pieces, and its key. */
const open = async (inSlot: (leaf: string, others: string) => string, isServed = true) => {
  const s = await openScenario()
  const { certPem, keyPem } = await s.issue(-10, 80)
  const end = certPem.indexOf('-----BEGIN', 1)
  const [leaf, others] = [certPem.slice(0, end), certPem.slice(end)]
  s.iotda.createConfiguration(s.domain, s.iotda.upload(inSlot(leaf, others), keyPem))
  const serve = (pem: string): void => {
    s.device.switches.serve = { certPem: pem, keyPem }
  }
  if (!isServed) serve(certPem)
  expect(await s.run()).toMatchObject({ outcome: 'idle' })
  return { s, leaf, others, serve }
}
const doubts = ({ devices }: TargetResult) =>
  devices?.verdicts.map(({ address, ok, lines }) => [address, ok, lines.map(({ check }) => check)])

test('a slot with the whole chain, of which the port sends the leaf alone', async () => {
  const { s, leaf, serve } = await open((own, others) => own + others)
  const [address] = s.device.addresses
  expect(doubts(await s.run({ action: 'status' }))).toEqual([[address, true, []]])
  serve(leaf)
  expect(doubts(await s.run({ action: 'status' }))).toEqual([[address, false, ['path']]])
  expect(s.changes()).toEqual([])
})

test('a slot with the leaf alone, to which the port adds what is missing', async () => {
  const { s } = await open(own => own, false)
  const [address] = s.device.addresses
  expect(doubts(await s.run({ action: 'status' }))).toEqual([[address, true, []]])
  expect(s.changes()).toEqual([])
})

test('the port sends a certificate twice', async () => {
  const { s, leaf, others, serve } = await open((own, more) => own + more)
  serve(leaf + others + others)
  const { devices } = await s.run({ action: 'status' })
  expect(devices?.verdicts).toMatchObject([
    { ok: true, lines: [{ check: 'path', verdict: 'warn', reason: expect.stringContaining('comes twice') }] },
  ])
})
