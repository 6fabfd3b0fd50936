import type { SandboxSettings } from '../../sandbox/sandbox.ts'

/** A change of settings: each value at its path, e.g. `put({ 'targets.0.minAge': '1h' })`; undefined takes it away. */
export const put =
  (values: Readonly<Record<string, unknown>>) =>
  (settings: SandboxSettings): void => {
    for (const [path, value] of Object.entries(values)) {
      const way = path.split('.')
      const last = way.pop() ?? ''
      const place = way.reduce((at, name) => at[name], settings)
      if (value === undefined) delete place[last]
      else place[last] = value
    }
  }
