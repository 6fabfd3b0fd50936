import * as v from 'valibot'
import { environmentReference, orNull, urlField } from '../../base/fields.ts'
import { awsSettings } from '../../clouds/aws/settings.ts'

/** Where the deployment says which queue it made. */
const QUEUE_URL = 'IOTDA_CERT_QUEUE_URL'

const queueUrl = () =>
  v.pipe(
    urlField(),
    v.check(
      url => !url.endsWith('.fifo'),
      'must be a standard queue: a FIFO queue orders what needs no order',
    ),
  )

/** What IOTDA_CERT_QUEUE_URL says, once the loader has asked it. */
const fromEnvironment = (): string | null =>
  environmentReference(QUEUE_URL, { secret: false, optional: true, says: 'url' }) as unknown as string | null

/**
 * The scheduled run of the Lambda function sends what is due to a queue of SQS, from which the same function takes it.
 * Null: a run does everything itself, as every run of a person does.
 */
export const fanOutField = () =>
  orNull(
    v.pipe(
      awsSettings(
        {
          type: v.literal('sqs', 'must be "sqs"'),
          /**
           * Default: what IOTDA_CERT_QUEUE_URL says, which the deployment sets for the queue that it makes.
           * @example "https://sqs.eu-central-1.amazonaws.com/123456789012/iotda-cert"
           */
          queueUrl: orNull(queueUrl()),
        },
        'SQS',
      ),
      v.transform(given => ({ ...given, queueUrl: given.queueUrl ?? fromEnvironment() })),
    ),
  )
export type FanOut = NonNullable<v.InferOutput<ReturnType<typeof fanOutField>>>
