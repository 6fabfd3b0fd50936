import { isDeepStrictEqual } from 'node:util'
import type { DomainConfiguration } from '../../iotda/client.ts'
import type { Leaf } from '../../model/certificate.ts'
import type { PendingBinding, Replaced } from '../../state/documents.ts'
import type { Context } from '../context.ts'
import { warn } from '../trace.ts'

type Config = DomainConfiguration['serverCertificateConfig']

/** Whether the settings say that stapling, which the leaf cannot serve, is switched off with the bind. */
export const switchesOff = ({ target }: Pick<Context, 'target'>, config: Config, leaf: Leaf): boolean =>
  config?.ocsp_stapling_enable === true && leaf.ocspUrl === null && target.ocsp === 'follow-certificate'

const withStapling = (config: Config): Config => ({ ...config, ocsp_stapling_enable: true })

/**
 * The current OCSP settings go back as they came, but for stapling that the new leaf cannot serve; on a way back, with
 * the stapling that our bind switched off.
 */
export function configFor(
  context: Context,
  { serverCertificateConfig: now }: DomainConfiguration,
  leaf: Leaf,
  staplingBack: boolean | undefined,
): Config {
  if (staplingBack) return withStapling(now)
  if (!switchesOff(context, now, leaf)) return now
  warn(
    context,
    'ocsp-stapling-off',
    'OCSP stapling was switched off: the new certificate carries no OCSP URL',
  )
  return { ...now, ocsp_stapling_enable: false }
}

/** As it is now, a person may have changed it since; only the stapling that our bind switched off or on is undone. */
export function configBack(
  { serverCertificateConfig: now }: DomainConfiguration,
  { serverCertificateConfig: before }: Replaced,
  staplingBack: boolean | undefined,
): Config {
  if (before?.ocsp_stapling_enable === true) return withStapling(now)
  return staplingBack ? { ...now, ocsp_stapling_enable: false } : now
}

/** What of the settings that were sent stands there otherwise, in words; lost: all of it was on, and none is any more. */
export function differenceOf(
  sent: Config,
  found: Config,
): { readonly said: string | null; readonly isLost: boolean } {
  const other = Object.entries(sent ?? {}).filter(
    ([name, value]) => !isDeepStrictEqual(found?.[name] ?? null, value ?? null),
  )
  const text = (value: unknown): string => JSON.stringify(value ?? null).slice(0, 40)
  const said = other.map(([name, value]) => `${name} is ${text(found?.[name])}, sent was ${text(value)}`)
  const isLost = other.every(([name, value]) => Boolean(value) && !found?.[name])
  return { said: said.length === 0 ? null : said.join('; '), isLost }
}

/**
 * Tells which OCSP settings are not those that an earlier run bound with. It may have died before it read them back;
 * whether they were lost then or a person changed them since cannot be told apart any more, so they stand.
 */
export function warnOfOthers(
  context: Context,
  configuration: DomainConfiguration | null,
  { replaces, staplingBack }: PendingBinding,
): void {
  if (!configuration || !replaces || replaces === 'first') return
  const { serverCertificateConfig: before, staplingOff } = replaces
  const off = staplingOff ? { ...before, ocsp_stapling_enable: false } : before
  const { said } = differenceOf(
    staplingBack ? withStapling(before) : off,
    configuration.serverCertificateConfig,
  )
  if (said === null) return
  const doubt = 'somebody changed them, or the platform lost them; they stand'
  warn(context, 'ocsp-changed', `the OCSP settings are not those of the bind: ${said}; ${doubt}`)
}
