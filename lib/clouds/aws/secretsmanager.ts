import { RotationError } from '../../base/rotation-error.ts'
import { type AwsClient, createAwsClient } from './client.ts'
import { secretPlace } from './policy.ts'
import { type AwsAccess, awsDomain } from './s3.ts'

/** One operation of Secrets Manager: its parsed answer. */
export type SecretsManager = (
  operation: string,
  input: Readonly<Record<string, unknown>> & { readonly SecretId?: string; readonly Name?: string },
  retry?: 'safe' | 'never',
) => Promise<Readonly<Record<string, unknown>>>

const READS = new Set(['GetSecretValue', 'DescribeSecret'])

/** Calls of the JSON 1.1 protocol. https://docs.aws.amazon.com/secretsmanager/latest/apireference/Welcome.html */
export function createSecretsManager(access: AwsAccess, driver: string): SecretsManager {
  const { region } = access
  const client: AwsClient = createAwsClient({ ...access, service: 'secretsmanager', driver })
  const url = access.endpoint ?? `https://secretsmanager.${region}.${awsDomain(region)}/`
  return async (operation, input, retry = READS.has(operation) ? 'safe' : 'never') => {
    const { json } = await client({
      operation,
      method: 'POST',
      url,
      headers: {
        'Content-Type': 'application/x-amz-json-1.1',
        'X-Amz-Target': `secretsmanager.${operation}`,
      },
      body: JSON.stringify(input),
      isConfidential: input.SecretString !== undefined || operation === 'GetSecretValue',
      retry,
      permission: `secretsmanager:${operation} on ${input.SecretId ?? input.Name ?? 'the secret'}`,
      changes: !READS.has(operation),
    })
    if (typeof json === 'object' && json !== null) return json as Record<string, unknown>
    throw new RotationError('unavailable', `${driver}: ${operation} gave an answer that is no JSON object`)
  }
}

/**
 * The current text of a secret, by its name or ARN; with `#member` that of one member of its JSON object, as
 * Secrets Manager's own console writes key/value pairs.
 * https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
 * @throws RotationError
 */
export async function readSecret(reference: string, access: AwsAccess): Promise<string> {
  const { name, member } = secretPlace(reference)
  const driver = `awssm:${reference}`
  const { SecretString: text } = await createSecretsManager(access, driver)('GetSecretValue', {
    SecretId: name,
    VersionStage: 'AWSCURRENT',
  })
  const wrong = (why: string, hint?: string): RotationError =>
    new RotationError('settings-invalid', `${driver}: ${why}`, { retry: 'never', ...(hint ? { hint } : {}) })
  if (typeof text !== 'string') throw wrong('the secret is binary, not text')
  if (member === null) return text
  const members = jsonObject(text)
  if (members === null)
    throw wrong('the secret is no JSON object', `Write awssm:${name} for the text as a whole.`)
  const value = Object.hasOwn(members, member) ? members[member] : undefined
  if (typeof value === 'string') return value
  throw wrong(
    `the secret has no text named ${member}`,
    `It has ${Object.keys(members).join(', ') || 'none'}.`,
  )
}

function jsonObject(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null
  } catch {
    return null
  }
}
