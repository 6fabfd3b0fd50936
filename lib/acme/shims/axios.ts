/**
 * Stands in for axios in the bundles. acme-client sets an instance up when it loads; our transport replaces
 * every request it would make.
 */

const unused = (): never => {
  throw new Error('axios is not part of this build')
}

export class AxiosError extends Error {}

/** As much of an instance as acme-client touches while it loads. */
export const create = () => ({
  defaults: { headers: { common: {} } },
  interceptors: { request: { use: () => {} }, response: { use: () => {} } },
  request: unused,
  get: unused,
})
