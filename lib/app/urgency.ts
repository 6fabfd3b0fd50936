import type { Target } from '../model/target.ts'
import type { Records } from '../state/state.ts'

/** Most urgent first: by the end of the certificate obtained last. */
export async function byUrgency(targets: readonly Target[], records: Records): Promise<readonly Target[]> {
  // One that cannot be read is its own target's failure, in its own turn.
  const ends = await Promise.all(
    targets.map(({ certificate }) =>
      records
        .certificate(certificate)
        .get()
        .then(
          ({ current }) => current?.notAfter ?? 0,
          () => 0,
        ),
    ),
  )
  const endOf = new Map(targets.map((target, i) => [target, ends[i] ?? 0]))
  return targets.toSorted((a, b) => (endOf.get(a) ?? 0) - (endOf.get(b) ?? 0))
}
