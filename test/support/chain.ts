/** Chains of root, intermediate and leaf for tests of path validation, and shorthands to validate them. */
import { verifyPath } from '../../lib/x509/path.ts'
import { caExtensions, DAY_MS, type Issued, type IssueOptions, issue, leafExtensions, NOW } from './issue.ts'

export const LIFE = { notBefore: NOW - 1000 * DAY_MS, notAfter: NOW + 1000 * DAY_MS }

export interface Parts {
  readonly root?: IssueOptions
  readonly middle?: IssueOptions
  readonly leaf?: IssueOptions
}

/** A CA that lasts long. */
export const ca = (name: string, more: IssueOptions = {}): Promise<Issued> =>
  issue({ subject: `CN=${name}`, ...LIFE, extensions: caExtensions(), ...more })

export const build = async (parts: Parts = {}) => {
  const root = await ca('Root', parts.root)
  const middle = await ca('Middle', { issuer: root, extensions: caExtensions(0), ...parts.middle })
  const leaf = await issue({
    subject: 'CN=Leaf',
    issuer: middle,
    extensions: leafExtensions('iot.example.com'),
    ...parts.leaf,
  })
  return { root, middle, leaf }
}

export const verify = (chain: readonly Issued[], roots: readonly Issued[], at = NOW) =>
  verifyPath({
    chain: chain.map(({ certificate }) => certificate),
    roots: roots.map(({ certificate }) => certificate),
    at,
  })

export const subjects = (result: ReturnType<typeof verify>) =>
  result.ok ? result.path.map(({ subject }) => subject.replace('CN=', '')) : result
