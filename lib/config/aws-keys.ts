/** Keys of AWS from somewhere else than the environment. */
export interface AwsKeys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string | null
}

const MEMBERS: Readonly<Record<string, keyof AwsKeys>> = {
  AWS_ACCESS_KEY_ID: 'accessKeyId',
  AWS_SECRET_ACCESS_KEY: 'secretAccessKey',
  AWS_SESSION_TOKEN: 'sessionToken',
}

/** Looks up a key of AWS that the environment does not hold, once for all of them. */
export type AwsKeyLookup = (name: string) => Promise<string | undefined>

/**
 * Keys are taken together: whatever the environment holds of them, nothing else is asked.
 * Where none can be found, the variable is said not to be set, as it is without this.
 */
export function awsKeyLookup({
  env,
  awsKeys,
}: {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly awsKeys?: () => Promise<AwsKeys>
}): AwsKeyLookup {
  let found: Promise<AwsKeys> | null = null
  return async name => {
    const member = MEMBERS[name]
    if (member === undefined || awsKeys === undefined || env.AWS_ACCESS_KEY_ID || env.AWS_SECRET_ACCESS_KEY)
      return undefined
    found ??= awsKeys()
    return (await found)[member] ?? undefined
  }
}
