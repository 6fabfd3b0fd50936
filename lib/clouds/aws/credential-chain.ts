import { RotationError } from '../../base/rotation-error.ts'

/** By a name that esbuild does not follow: whoever works by profiles or SSO has it installed, and a function needs no such thing. */
const CHAIN: string = '@aws-sdk/credential-provider-node'
type Chain = typeof import('@aws-sdk/credential-provider-node')

interface FoundKeys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string | null
}

/**
 * Keys of AWS as its own command line finds them: profile, SSO, web identity, process, container, instance. For
 * people and machines; a function has those of its role in its environment. Loaded with the first question.
 * https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
 * @throws RotationError `settings-invalid`
 */
export async function credentialChain(): Promise<FoundKeys> {
  const missing = (why: string, hint: string, cause: unknown) =>
    new RotationError('settings-invalid', `there are no keys of AWS: ${why}`, { cause, retry: 'never', hint })
  const provider: Chain = await import(CHAIN).catch(cause => {
    throw missing(
      'AWS_ACCESS_KEY_ID is not set',
      'Set it and AWS_SECRET_ACCESS_KEY. For profiles, SSO and roles: npm install @aws-sdk/credential-provider-node.',
      cause,
    )
  })
  try {
    const {
      accessKeyId,
      secretAccessKey,
      sessionToken = null,
    } = await provider.defaultProvider({
      maxRetries: 0,
      timeout: 1_000,
    })()
    return { accessKeyId, secretAccessKey, sessionToken }
  } catch (cause) {
    throw missing(
      `not in the environment, and ${(cause as Error).message}`,
      'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; after `aws sso login` its session is used.',
      cause,
    )
  }
}
