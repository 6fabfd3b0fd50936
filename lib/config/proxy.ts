import { isLoopbackUrl } from '../base/fields.ts'
import { RotationError } from '../base/rotation-error.ts'
import { secret } from '../base/secret.ts'
import type { HttpProxy } from '../http/http.ts'
import type { Surroundings } from './surroundings.ts'

/**
 * The proxy that HTTPS_PROXY names, as for curl: for https, but not for this machine and what NO_PROXY lists (names
 * with all that is below them, addresses, or `*`). @throws RotationError `settings-invalid`
 */
export function proxyFrom({ env }: Pick<Surroundings, 'env'>): HttpProxy | null {
  const name = ['https_proxy', 'HTTPS_PROXY'].find(it => env[it])
  const text = env[name ?? ''] ?? ''
  if (name === undefined || text === '') return null
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new RotationError('settings-invalid', `environment variable ${name} must be an http or https URL`, {
      retry: 'never',
      hint: 'For example http://proxy.example.com:3128. Unset it to go without a proxy.',
    })
  const except = (env.no_proxy || env.NO_PROXY || '').split(/[\s,]+/).filter(Boolean)
  return {
    url: secret(text),
    covers: url =>
      url.protocol === 'https:' && !isLoopbackUrl(url.href) && !except.some(it => exempts(it, url)),
  }
}

/** Whether an entry of NO_PROXY, perhaps with a port, names the host of a URL. */
const exempts = (entry: string, { hostname, port }: URL): boolean => {
  if (entry === '*') return true
  const [, name = '', at] = /^(.*?)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? []
  const bare = name.replace(/^\*?\./, '')
  const isSame = hostname === bare || hostname.endsWith(`.${bare}`)
  return isSame && (at === undefined || at === (port || '443'))
}
