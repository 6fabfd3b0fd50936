import { randomUUID } from 'node:crypto'
import type { Faults } from '../kit/faults.ts'
import { type Answer, type Call, type Route, type Served, serve } from '../kit/http.ts'
import { type AwsKey, verifyAws } from './aws-signature.ts'

export interface SecretsManagerSwitches {
  /** Versions of one secret; none of them is older than a day here, so none is removed. */
  versionsAtMost: number
  /** UpdateSecretVersionStage does not look where the label is. */
  ignoreConditions: boolean
  /** So many calls find a secret still there, marked for deletion, after it was deleted without recovery. */
  slowDeletes: number
  /** Actions that the key may not do, e.g. `secretsmanager:PutSecretValue`. */
  denied: readonly string[]
}

export interface SimulatedSecret {
  readonly name: string
  /** By version id, oldest first. */
  readonly versions: Map<string, string>
  /** Version id by label. */
  readonly labels: Map<string, string>
  /** Calls until it is gone; null: not deleted. Infinity: a person scheduled its deletion. */
  deletedIn: number | null
}

export interface SecretsManagerOptions {
  readonly faults: Faults
  readonly keys: ReadonlyMap<string, AwsKey>
  readonly region?: string
  readonly now?: () => number
  readonly switches?: Partial<SecretsManagerSwitches>
}

export interface SecretsManager extends Served {
  readonly switches: SecretsManagerSwitches
  /** By name. */
  readonly secrets: Map<string, SimulatedSecret>
}

type Input = Readonly<Record<string, unknown>>

class Refusal extends Error {
  readonly type: string
  constructor(type: string, message: string) {
    super(message)
    this.type = type
  }
}

const SIZE_AT_MOST = 65_536
const TOKEN = /^.{32,64}$/

const missing = (): Refusal =>
  new Refusal('ResourceNotFoundException', "Secrets Manager can't find the specified secret.")

const textOf = (input: Input, name: string): string => {
  const value = input[name]
  if (typeof value === 'string' && value !== '') return value
  throw new Refusal('InvalidParameterException', `You must provide ${name}.`)
}

const secretTextOf = (input: Input): string => {
  const text = textOf(input, 'SecretString')
  if (Buffer.byteLength(text) <= SIZE_AT_MOST) return text
  throw new Refusal(
    'ValidationException',
    "1 validation error detected: Value at 'secretString' failed to satisfy constraint: Member must have length less than or equal to 65536",
  )
}

const tokenOf = (input: Input): string => {
  const token = textOf(input, 'ClientRequestToken')
  if (TOKEN.test(token)) return token
  throw new Refusal('InvalidParameterException', 'ClientRequestToken must be 32-64 characters long.')
}

/** Moves a label; AWSPREVIOUS follows AWSCURRENT. */
const label = (secret: SimulatedSecret, name: string, version: string): void => {
  const before = secret.labels.get(name)
  if (name === 'AWSCURRENT' && before !== undefined && before !== version)
    secret.labels.set('AWSPREVIOUS', before)
  secret.labels.set(name, version)
}

const described = (secret: SimulatedSecret, version: string) => ({
  ARN: `arn:aws:secretsmanager:eu-central-1:123456789012:secret:${secret.name}-AbCdEf`,
  Name: secret.name,
  VersionId: version,
  VersionStages: [...secret.labels].filter(([, at]) => at === version).map(([name]) => name),
})

const operationsOf = (secrets: Map<string, SimulatedSecret>, switches: SecretsManagerSwitches) => {
  /** The secret under a name; one being deleted is refused until it is gone. */
  const find = (name: string, message: string): SimulatedSecret | null => {
    const secret = secrets.get(name)
    if (!secret) return null
    if (secret.deletedIn === null) return secret
    if (secret.deletedIn > 0) {
      secret.deletedIn -= 1
      throw new Refusal('InvalidRequestException', message)
    }
    secrets.delete(name)
    return null
  }
  const need = (input: Input): SimulatedSecret => {
    const message = "You can't perform this operation on the secret because it was marked for deletion."
    const secret = find(textOf(input, 'SecretId'), message)
    if (!secret) throw missing()
    return secret
  }
  /** An existing version with the same text is the same call again. */
  const addVersion = (secret: SimulatedSecret, token: string, text: string): void => {
    const there = secret.versions.get(token)
    if (there === text) return
    if (there !== undefined)
      throw new Refusal('ResourceExistsException', 'A version with this token and other content exists.')
    if (secret.versions.size >= switches.versionsAtMost)
      throw new Refusal('LimitExceededException', 'You have exceeded the maximum number of versions.')
    secret.versions.set(token, text)
  }

  /** https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html */
  const CreateSecret = (input: Input) => {
    const name = textOf(input, 'Name')
    const [token, text] = [tokenOf(input), secretTextOf(input)]
    if (!/^[\w/+=.@-]{1,512}$/.test(name))
      throw new Refusal('ValidationException', 'Invalid name. Must be a valid name.')
    const message =
      "You can't create this secret because a secret with this name is already scheduled for deletion."
    const there = find(name, message)
    if (there && there.versions.get(token) !== text)
      throw new Refusal(
        'ResourceExistsException',
        `The operation failed because the secret ${name} already exists.`,
      )
    const secret = there ?? { name, versions: new Map(), labels: new Map(), deletedIn: null }
    secrets.set(name, secret)
    if (!there) {
      addVersion(secret, token, text)
      label(secret, 'AWSCURRENT', token)
    }
    return described(secret, token)
  }

  /** https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html */
  const PutSecretValue = (input: Input) => {
    const secret = need(input)
    const token = tokenOf(input)
    addVersion(secret, token, secretTextOf(input))
    const stages = Array.isArray(input.VersionStages) ? input.VersionStages.map(String) : ['AWSCURRENT']
    for (const stage of stages) label(secret, stage, token)
    return described(secret, token)
  }

  /** https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html */
  const GetSecretValue = (input: Input) => {
    const secret = need(input)
    const stage = input.VersionStage === undefined ? 'AWSCURRENT' : textOf(input, 'VersionStage')
    const version = input.VersionId === undefined ? secret.labels.get(stage) : textOf(input, 'VersionId')
    const text = secret.versions.get(version ?? '')
    if (version !== undefined && text !== undefined)
      return { ...described(secret, version), SecretString: text }
    throw new Refusal(
      'ResourceNotFoundException',
      `Secrets Manager can't find the specified secret value for staging label: ${stage}`,
    )
  }

  /** https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html */
  const UpdateSecretVersionStage = (input: Input) => {
    const secret = need(input)
    const [stage, to] = [textOf(input, 'VersionStage'), textOf(input, 'MoveToVersionId')]
    if (!secret.versions.has(to))
      throw new Refusal(
        'ResourceNotFoundException',
        "Secrets Manager can't find the specified secret version.",
      )
    const at = secret.labels.get(stage)
    const from = input.RemoveFromVersionId
    if (!switches.ignoreConditions && at !== undefined && at !== to && at !== from)
      throw new Refusal(
        'InvalidParameterException',
        from === undefined
          ? `The parameter RemoveFromVersionId can't be empty. Staging label ${stage} is currently attached to version ${at}, so you must explicitly reference that version in RemoveFromVersionId.`
          : `When you move staging label ${stage}, if you specify RemoveFromVersionId, it must be set to the version that currently has the staging label ${stage}.`,
      )
    label(secret, stage, to)
    return { ARN: described(secret, to).ARN, Name: secret.name }
  }

  /** https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html */
  const DeleteSecret = (input: Input) => {
    const name = textOf(input, 'SecretId')
    const secret = secrets.get(name)
    const force = input.ForceDeleteWithoutRecovery === true
    if (!secret && !force) throw missing()
    if (secret) secret.deletedIn = force ? switches.slowDeletes : Number.POSITIVE_INFINITY
    if (secret?.deletedIn === 0) secrets.delete(name)
    return { Name: name, DeletionDate: 0 }
  }
  return { CreateSecret, PutSecretValue, GetSecretValue, UpdateSecretVersionStage, DeleteSecret }
}

const refusal = (type: string, message: string): Answer => ({
  status: 400,
  headers: { 'content-type': 'application/x-amz-json-1.1' },
  body: JSON.stringify({ __type: type, Message: message }),
})

/** AWS Secrets Manager: secrets with labelled versions, in the JSON 1.1 protocol. */
export async function createSecretsManager(options: SecretsManagerOptions): Promise<SecretsManager> {
  const { faults, keys, region = 'eu-central-1', now = Date.now } = options
  const secrets = new Map<string, SimulatedSecret>()
  const switches: SecretsManagerSwitches = {
    versionsAtMost: 100,
    ignoreConditions: false,
    slowDeletes: 0,
    denied: [],
    ...options.switches,
  }
  const perform = (operation: string, work: (input: Input) => object, call: Call): Answer => {
    if (switches.denied.includes(`secretsmanager:${operation}`))
      return refusal(
        'AccessDeniedException',
        `User: arn:aws:iam::123456789012:user/x is not authorized to perform: secretsmanager:${operation}`,
      )
    try {
      const body = JSON.stringify(work(JSON.parse(call.body) as Input))
      return { status: 200, headers: { 'content-type': 'application/x-amz-json-1.1' }, body }
    } catch (error) {
      if (error instanceof Refusal) return refusal(error.type, error.message)
      throw error
    }
  }
  const routes: Route[] = Object.entries(operationsOf(secrets, switches)).map(([operation, work]) => ({
    method: 'POST',
    path: '/',
    operation,
    header: ['x-amz-target', `secretsmanager.${operation}`],
    handle: call => perform(operation, work, call),
  }))
  const served = await serve({
    service: 'secretsmanager',
    faults,
    routes,
    before: call => {
      const why = verifyAws(call, { keys, region, service: 'secretsmanager', now: now() })
      if (why === null) return null
      const type = { 'unknown-key': 'UnrecognizedClientException', skew: 'InvalidSignatureException' }[
        why as string
      ]
      return refusal(type ?? 'InvalidSignatureException', `The request is not signed as it should be: ${why}`)
    },
    notFound: () => refusal('UnknownOperationException', ''),
    headers: () => ({ 'x-amzn-requestid': randomUUID() }),
  })
  return { ...served, switches, secrets }
}
