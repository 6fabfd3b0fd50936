/** The simulators' check of signatures against the examples that AWS publishes. */
import { expect, test } from 'vitest'
import { type AwsVerifyOptions, verifyAws } from '../../sandbox/stores/aws-signature.ts'

const SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

const options: AwsVerifyOptions = {
  keys: new Map([['AKIAIOSFODNN7EXAMPLE', { secretAccessKey: SECRET }]]),
  region: 'us-east-1',
  service: 's3',
  now: Date.UTC(2013, 4, 24, 0, 5),
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html */
const get = (change: Record<string, string> = {}, target = '/test.txt') => ({
  method: 'GET',
  path: target.split('?')[0] ?? '',
  query: new URLSearchParams(),
  target,
  body: '',
  headers: {
    host: 'examplebucket.s3.amazonaws.com',
    range: 'bytes=0-9',
    'x-amz-content-sha256': EMPTY,
    'x-amz-date': '20130524T000000Z',
    authorization:
      'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    ...change,
  },
})

const list = (target: string, signature: string) => ({
  ...get({}, target),
  headers: {
    host: 'examplebucket.s3.amazonaws.com',
    'x-amz-content-sha256': EMPTY,
    'x-amz-date': '20130524T000000Z',
    authorization: `AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=${signature}`,
  },
})

test.each([
  ['GET Object', get()],
  [
    'GET Bucket Lifecycle',
    list('/?lifecycle', 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543'),
  ],
  [
    'GET Bucket',
    list('/?max-keys=2&prefix=J', '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7'),
  ],
])('the published example %s passes', (_, call) => {
  expect(verifyAws(call, options)).toBeNull()
})

type Case = readonly [string, ReturnType<typeof get>, string, Partial<AwsVerifyOptions>]
const cases: readonly Case[] = [
  ['another range', get({ range: 'bytes=0-8' }), 'signature', {}],
  ['another path', get({}, '/other.txt'), 'signature', {}],
  ['a header that is not signed', get({ 'x-amz-meta-writer': 'x' }), 'signature', {}],
  ['another body', { ...get(), body: 'x' }, 'body', {}],
  ['an hour later', get(), 'skew', { now: options.now + 3_600_000 }],
  ['another region', get(), 'wrong-region', { region: 'eu-west-1' }],
  ['an unknown key', get(), 'unknown-key', { keys: new Map() }],
  ['a token nobody gave', get({ 'x-amz-security-token': 'x' }), 'token', {}],
  ['no signature', get({ authorization: '' }), 'malformed', {}],
]

test.each(cases)('%s does not', (_, call, why, change) => {
  expect(verifyAws(call, { ...options, ...change })).toBe(why)
})
