/**
 * One reader in a process of its own, which `bench/fuzz.mjs` starts: what comes of it is the last line of output, and
 * each input is told beforehand, so that one that never ends is known by its number.
 */
import { fuzz } from './engine.ts'
import { READERS } from './readers.ts'

const [name, seed, durationMs] = process.argv.slice(2)
const reader = READERS.find(it => it.name === name)
if (!reader) {
  console.log(JSON.stringify(READERS.map(it => it.name)))
} else {
  const limits = { seed: Number(seed), durationMs: Number(durationMs), inputs: Number.POSITIVE_INFINITY }
  let told = 0
  const fuzzed = await fuzz(reader, limits, number => {
    if (Date.now() - told < 500) return
    told = Date.now()
    process.send?.(number)
  })
  console.log(JSON.stringify({ ...fuzzed, peakMiB: Math.round(process.resourceUsage().maxRSS / 1024) }))
  process.exit(0)
}
