import type { NamedNotifier } from '../alerts/outbox.ts'
import type { Alerting } from '../config/load.ts'
import type { DriverContext, Notifier, NotifierContext } from '../contracts.ts'
import { notifiers } from '../notifiers/index.ts'
import { make } from './drivers.ts'

/** The notifiers of the settings. One that cannot be made is logged: it must not keep a run from rotating. */
export async function openNotifiers(
  alerting: Pick<Alerting, 'notifiers'>,
  context: (name: string) => DriverContext,
): Promise<readonly NamedNotifier[]> {
  const opened = alerting.notifiers.map(async ({ name, filter, language, ...chosen }) => {
    const own = { ...context(`notifiers.${name}`), language }
    try {
      return [{ name, filter, notifier: await make<Notifier, NotifierContext>(notifiers, chosen, own) }]
    } catch (error) {
      own.log.warn({ notifier: name, error: (error as Error).message }, 'a notifier cannot be used')
      return []
    }
  })
  return (await Promise.all(opened)).flat()
}
