/** deploy/aws/terraform as a real HCL parser reads it: it refers to what is there, and fits the printed policy. */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { awsPolicy } from '../../lib/permissions/aws.ts'
import { ROOT } from '../support/modules.ts'
import { onAws, type Sample } from './sample.ts'

const { parse } = createRequire(import.meta.url)('@cdktf/hcl2json') as {
  parse(name: string, text: string): Promise<Record<string, unknown>>
}

let text: string
let blocks: Sample
beforeAll(async () => {
  text = await readFile(join(ROOT, 'deploy/aws/terraform/main.tf'), 'utf8')
  blocks = await parse('main.tf', text)
})

test('every reference is to something that is declared', () => {
  const declared = (kind: 'resource' | 'data'): readonly string[] =>
    Object.entries(blocks[kind] as Sample).flatMap(([type, named]) =>
      Object.keys(named as Sample).map(name => `${kind === 'data' ? 'data.' : ''}${type}.${name}`),
    )
  const known = [...declared('resource'), ...declared('data')]
  const found = [...text.matchAll(/\b(?:data\.)?aws_\w+\.\w+/g)].map(([it]) => it)
  expect(found.length).toBeGreaterThan(15)
  expect(found.filter(it => !known.includes(it))).toEqual([])
  const variables = [...text.matchAll(/\bvar\.(\w+)/g)].map(([, name]) => name ?? '')
  expect([...new Set(variables)].sort()).toEqual(Object.keys(blocks.variable).sort())
})

test('the function is the one of serverless.yml: one try, 900 s, started every 30 minutes', () => {
  const { resource } = blocks
  expect(resource.aws_lambda_function.rotate[0]).toMatchObject({
    ...{ handler: 'lambda.handler', runtime: 'nodejs24.x', timeout: 900, memory_size: 256 },
  })
  expect(resource.aws_lambda_function_event_invoke_config.once[0].maximum_retry_attempts).toBe(0)
  expect(resource.aws_scheduler_schedule.rotate[0].schedule_expression).toBe('rate(30 minutes)')
  expect(resource.aws_s3_bucket.state[0].lifecycle[0].prevent_destroy).toBe(true)
})

test('the policy that is printed for settings without a bucket allows the bucket that the module makes', async () => {
  const settings = onAws(it => {
    delete it.store.bucket
  })
  const { Statement } = await awsPolicy(settings, null)
  expect(Statement.find(it => it.Sid === 'State')?.Resource).toEqual([
    'arn:aws:s3:::iotda-cert-*/iotda-cert/*',
  ])
  expect(blocks.variable.name[0].default).toBe('iotda-cert')
  expect(blocks.resource.aws_s3_bucket.state[0].bucket).toMatch(/^\$\{var\.name\}-/)
})
