import { RotationError } from '../../base/rotation-error.ts'
import { type AwsClient, createAwsClient } from './client.ts'
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
      isConfidential: input.SecretString !== undefined,
      retry,
      permission: `secretsmanager:${operation} on ${input.SecretId ?? input.Name ?? 'the secret'}`,
      changes: !READS.has(operation),
    })
    if (typeof json === 'object' && json !== null) return json as Record<string, unknown>
    throw new RotationError('unavailable', `${driver}: ${operation} gave an answer that is no JSON object`)
  }
}

/**
 * The current text of a secret, by its name or ARN.
 * https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
 * @throws RotationError
 */
export async function readSecret(name: string, access: AwsAccess): Promise<string> {
  const driver = `awssm:${name}`
  const { SecretString: text } = await createSecretsManager(access, driver)('GetSecretValue', {
    SecretId: name,
  })
  if (typeof text === 'string') return text
  throw new RotationError('settings-invalid', `${driver}: the secret is binary, not text`, { retry: 'never' })
}
