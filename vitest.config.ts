import { existsSync, statfsSync } from 'node:fs'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { testFiles } from './test/support/test-files.ts'

const files = testFiles()
const order = Object.values(files).flat()

/** As `testFiles` lists them, which is the slowest first. */
class Sequencer extends BaseSequencer {
  override async sort(specifications: TestSpecification[]): Promise<TestSpecification[]> {
    const at = ({ moduleId }: TestSpecification) => order.findIndex(file => moduleId.endsWith(`/${file}`))
    return specifications.toSorted((a, b) => at(a) - at(b))
  }
}

/** A disk that forgets, where there is a large one: whole runs would wait much for one that does not. */
const MEMORY = '/dev/shm'
const isRoomy = (folder: string): boolean => {
  if (!existsSync(folder)) return false
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize > 2 ** 30
}

const TIMEOUTS_MS: Readonly<Record<string, number>> = { whole: 60_000, strangers: 120_000 }

export default defineConfig({
  test: {
    // Two cores: a run often waits for sockets and its own process.
    maxWorkers: 4,
    sequence: { sequencer: Sequencer },
    projects: Object.entries(files).map(([name, include]) => ({
      test: {
        name,
        include: [...include],
        // Workers keep the modules they have loaded, except where a test replaces some.
        isolate: name === 'alone',
        setupFiles: ['test/support/setup.ts'],
        pool: 'forks' as const,
        testTimeout: TIMEOUTS_MS[name] ?? 30_000,
        // Strangers are fetched, and built, before their first test.
        hookTimeout: name === 'strangers' ? 480_000 : 60_000,
        expect: { poll: { timeout: 10_000 } },
        env: name === 'whole' && isRoomy(MEMORY) ? { TMPDIR: MEMORY } : {},
      },
    })),
  },
})
