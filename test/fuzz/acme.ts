/** A reader of everything that a CA answers: directory, account, order, authorization, chain, renewal information. */
import { createAcmeClient } from '../../lib/acme/protocol/client.ts'
import { fetchDirectory } from '../../lib/acme/protocol/directory.ts'
import { readProblem } from '../../lib/acme/protocol/problem.ts'
import { linksOf } from '../../lib/acme/protocol/transport.ts'
import { fetchRenewalInfo } from '../../lib/acme/renewal-info.ts'
import { secret } from '../../lib/base/secret.ts'
import { parseJson } from '../../lib/http/api-call.ts'
import { leafOf } from '../../lib/x509/certificate.ts'
import { generateKey } from '../../lib/x509/key.ts'
import { build } from '../support/chain.ts'
import { createSourceMemory } from '../support/memory.ts'
import type { Reader } from './engine.ts'
import { httpOf, runOf } from './outside.ts'

const CA = 'https://ca.example'
const directory = {
  url: `${CA}/directory`,
  body: { newNonce: `${CA}/n`, newAccount: `${CA}/a`, newOrder: `${CA}/o`, renewalInfo: `${CA}/ari` },
  fetchedAt: runOf().clock.now(),
}
const challenge = {
  type: 'dns-01',
  url: `${CA}/c/1`,
  status: 'pending',
  token: 'LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0',
}
const sample = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
const accountKey = secret(await generateKey('ec-256'))
const { leaf } = await build()

export const acme: Reader = {
  name: 'ACME: every answer of a CA',
  samples: [
    sample({
      ...directory.body,
      meta: { termsOfService: `${CA}/terms`, caaIdentities: ['ca.example'], profiles: { a: 'b' } },
    }),
    sample({
      ...{
        status: 'pending',
        expires: '2026-12-01T00:00:00Z',
        finalize: `${CA}/f/1`,
        certificate: `${CA}/cert/1`,
      },
      authorizations: [`${CA}/z/1`, `${CA}/z/2`],
    }),
    sample({
      ...{ status: 'pending', identifier: { type: 'dns', value: 'iot.example.com' }, wildcard: false },
      challenges: [challenge, { ...challenge, type: 'http-01' }],
    }),
    sample({
      ...{ type: 'urn:ietf:params:acme:error:compound', detail: 'no', status: 400, instance: `${CA}/why` },
      subproblems: [
        { type: 'urn:ietf:params:acme:error:dns', identifier: { type: 'dns', value: 'a.example' } },
      ],
    }),
    sample({
      suggestedWindow: { start: '2026-12-01T00:00:00Z', end: '2026-12-02T00:00:00Z' },
      explanationURL: `${CA}/why`,
    }),
    Buffer.from(leaf.pem),
    Buffer.from(`<${CA}/1>;rel="alternate", <${CA}/2>; rel="up alternate"; title="a, b"`),
  ],
  read: async (input, random) => {
    const run = runOf()
    const connection = {
      settings: 'sources.ca',
      directoryUrl: directory.url,
      http: httpOf(input, random),
      run,
    }
    readProblem(parseJson(input.toString()), 400)
    linksOf(input.toString('latin1'), 'alternate', CA)
    await fetchRenewalInfo(connection, createSourceMemory({ directory }), leaf.pem, leafOf(leaf.certificate))
    const client = createAcmeClient({
      ...{ connection, directory, reloadDirectory: () => fetchDirectory(connection), accountKey },
      ...{ accountUrl: `${CA}/acct/1`, externalAccount: null },
    })
    const calls: readonly [() => Promise<unknown>, ...(() => Promise<unknown>)[]] = [
      () => fetchDirectory(connection),
      () => client.register({ termsOfServiceAgreed: true }),
      () => client.newOrder({ names: ['iot.example.com'], profile: null, replaces: null }),
      () => client.order(`${CA}/order/1`),
      () => client.authorization(`${CA}/z/1`),
      () => client.certificate(`${CA}/cert/1`),
    ]
    await random.pick(calls)()
  },
}
