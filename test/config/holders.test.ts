/** Settings of a certificate that its sources cannot follow: `acm` and `file` hold one that others made. */
import { describe, expect, test } from 'vitest'
import { changed, ENV, failure, load, type Raw } from './sample.ts'

const ARN = 'arn:aws:acm:eu-central-1:123456789012:certificate/12345678-1234-1234-1234-123456789012'
const env = { ...ENV, CHAIN: 'a chain', KEY: 'a key' }

const withSources = (source: readonly string[], more: object) =>
  changed((raw: Raw) => {
    raw.sources.aws = { type: 'acm', certificateArn: ARN }
    raw.sources.bought = { type: 'file', certificate: 'env:CHAIN', privateKey: 'env:KEY' }
    Object.assign(raw.certificates.iot, { source, ...more })
  })
const mistakes = async (source: readonly string[], more: object): Promise<string> =>
  (await failure(load(withSources(source, more), env))).message

describe('a key that is to be kept', () => {
  test.each([
    [['aws'], 'source "aws" (acm)'],
    [['bought'], 'source "bought" (file)'],
    [['letsencrypt', 'bought', 'aws'], 'source "bought" (file)'],
  ])('cannot be, with %j', async (source, who) => {
    expect(await mistakes(source, { reuseKey: true })).toContain(
      `\n  certificates.iot.reuseKey: cannot be kept: ${who} brings certificate and key as they are`,
    )
  })

  test('is, where each source orders', async () => {
    const { certificates } = await load(withSources(['letsencrypt'], { reuseKey: true }), env)
    expect(certificates.iot).toMatchObject({ reuseKey: true })
  })
})

describe('a profile', () => {
  test('is asked of nobody where nothing is ordered', async () => {
    expect(await mistakes(['aws', 'bought'], { profile: 'shortlived' })).toContain(
      '\n  certificates.iot.profile: is asked of nobody: source "aws" (acm) brings',
    )
  })

  test('is asked of the source that orders', async () => {
    const { certificates } = await load(withSources(['aws', 'letsencrypt'], { profile: 'shortlived' }), env)
    expect(certificates.iot).toMatchObject({ profile: 'shortlived', sources: ['aws', 'letsencrypt'] })
  })
})
