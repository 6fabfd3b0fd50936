import { allVisible } from '../base/visible.ts'

/** What the watchdog answers. */
interface Watched {
  readonly results: readonly {
    readonly target: string
    readonly ok: boolean
    readonly daysLeft: number | null
    readonly problems: readonly { readonly event: string; readonly reason: string }[]
  }[]
  readonly undelivered: number
}

/** The answer of the watchdog in words. */
export function watchText({ results, undelivered }: Watched): string {
  const lines = allVisible(results).flatMap(({ target, ok, daysLeft, problems }) => [
    `${ok ? 'ok ' : 'bad'}  ${target}${daysLeft === null ? '' : `: ${daysLeft} days left`}`,
    ...problems.map(({ event, reason }) => `     ${event}: ${reason}`),
  ])
  const untold = undelivered > 0 ? [`${undelivered} alerts could not be delivered`] : []
  return `${[...lines, ...untold].join('\n')}\n`
}
