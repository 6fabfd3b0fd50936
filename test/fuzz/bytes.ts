/** Readers of what stores and DNS servers give. */
import packet from 'dns-packet'
import type * as v from 'valibot'
import { RotationError } from '../../lib/base/rotation-error.ts'
import { seal, unseal } from '../../lib/base/seal.ts'
import { secret } from '../../lib/base/secret.ts'
import type { StateStore } from '../../lib/contracts.ts'
import { askHttps } from '../../lib/dns/resolve/ask-https.ts'
import { decodeMessage } from '../../lib/dns/resolve/message.ts'
import { type RecordType, readResponse } from '../../lib/dns/resolve/response.ts'
import { verifyAnswer } from '../../lib/dns/tsig.ts'
import { textOfTxt } from '../../lib/solvers/shared/txt.ts'
import { openAuthenticity } from '../../lib/state/authenticity.ts'
import { DeviceCounts, noCounts } from '../../lib/state/device-counts.ts'
import { parseDocument } from '../../lib/state/document.ts'
import * as documents from '../../lib/state/documents.ts'
import { newRollout, RolloutDocument } from '../../lib/state/rollout-documents.ts'
import { enclose, open } from '../../lib/stores/shared/envelope.ts'
import type { Reader } from './engine.ts'
import { httpOf, runOf } from './outside.ts'

const bytes = (text: string): Buffer => Buffer.from(text)
const json = (value: unknown): string => `${JSON.stringify(value, null, 1)}\n`

const SCHEMAS = [
  documents.TargetDocument,
  documents.CertificateDocument,
  documents.SourceDocument,
  documents.LeaseDocument,
  documents.RunDocument,
  documents.WatchDocument,
  documents.DeliveriesDocument,
  documents.HistoryDocument,
  DeviceCounts,
  RolloutDocument,
] as readonly v.GenericSchema<unknown, unknown>[]
const SEAL_KEY = secret(Buffer.alloc(32, 7).toString('base64'))
const STATE = [
  json(documents.newTarget('factory-1')),
  json(documents.newCertificate('iot')),
  json({ schema: 1, notes: { account: { url: 'https://ca.example/acct/1' } } }),
  json({ schema: 1, writer: 'host/1/2', runId: 'r', until: 1 }),
  json(documents.newRun),
  // What carries no MAC loses its words.
  json({
    ...{ schema: 1, last: null, okAt: null },
    alerts: {
      open: {
        run: {
          since: 1,
          toldAt: 1,
          severity: 'info',
          event: 'failed',
          error: null,
          signatures: [],
          level: null,
        },
      },
      ended: {},
      outbox: [{ notifier: 'chat', since: 1, alert: { event: 'failed', dedupKey: 'iotda-cert/run' } }],
    },
  }),
  json(noCounts),
  json(newRollout({ id: 'a', roots: ['Root'], levels: [], commonName: true, only: null })),
]

const nothing = { place: 'a store', read: async () => null } as unknown as StateStore
const vouching = { sealKey: async () => SEAL_KEY, previousSealKey: null, documents: null }
const vouched = openAuthenticity(nothing, vouching)
const signed = await vouched.sign('targets/1', documents.newTarget('factory-1'), 3)

export const state: Reader = {
  name: 'state: envelope, document, sealed text',
  samples: [
    ...STATE.map(body => bytes(enclose(body, 'host/1/2').text)),
    ...STATE.map(bytes),
    bytes(signed),
    bytes(seal(SEAL_KEY, 'a key', 'keys/1')),
  ],
  read: async input => {
    const text = input.toString()
    const readers: (() => unknown)[] = [
      () => open(text, 'a document'),
      () => unseal(SEAL_KEY, text, 'keys/1'),
      ...SCHEMAS.map(schema => () => parseDocument(schema, 'a document', text)),
    ]
    let refused: unknown = null
    for (const reader of [...readers, () => vouched.open('targets/1', { body: text, revision: '1' })]) {
      try {
        await reader()
      } catch (thrown) {
        if (!(thrown instanceof RotationError)) throw thrown
        refused = thrown
      }
    }
    if (refused) throw refused
  },
}

const TYPES: readonly RecordType[] = ['A', 'AAAA', 'CAA', 'CNAME', 'DNSKEY', 'DS', 'NS', 'SOA', 'TXT']
const messageOf = (type: RecordType, data: unknown): Buffer =>
  packet.encode({
    ...{ type: 'response', id: 7, flags: packet.AUTHORITATIVE_ANSWER },
    questions: [{ type, name: 'example.com' }],
    answers: [{ type, name: 'example.com', ttl: 60, data }],
    authorities: [{ type: 'NS', name: 'example.com', ttl: 60, data: 'ns1.example.com' }],
    additionals: [{ type: 'A', name: 'ns1.example.com', ttl: 60, data: '192.0.2.1' }],
  } as never)
const soa = {
  mname: 'ns1.example.com',
  rname: 'a.example.com',
  serial: 1,
  refresh: 1,
  retry: 1,
  expire: 1,
  minimum: 1,
}
const KEY = { name: 'k', algorithm: 'hmac-sha256' as const, secret: secret('a2V5') }

export const dns: Reader = {
  name: 'DNS: messages, over HTTPS, signed, TXT values',
  samples: [
    messageOf('A', '192.0.2.1'),
    messageOf('AAAA', '2001:db8::1'),
    messageOf('CAA', { flags: 0, tag: 'issue', value: 'ca.example; accounturi=https://ca.example/1' }),
    messageOf('CNAME', 'www.example.com'),
    messageOf('NS', 'ns1.example.com'),
    messageOf('SOA', soa),
    messageOf('TXT', ['v=1', 'and "more"']),
    messageOf('DNSKEY', { flags: 257, algorithm: 13, key: Buffer.alloc(64, 3) }),
    messageOf('DS', { keyTag: 1, algorithm: 13, digestType: 2, digest: Buffer.alloc(32, 5) }),
    bytes('"a \\"quoted\\" text" "in two strings"'),
  ],
  read: async (input, random) => {
    for (const type of TYPES) readResponse(input, { id: 7, name: 'example.com', type })
    const message = decodeMessage(input)
    if (message) verifyAnswer(input, message, KEY as never, Buffer.alloc(32), 0)
    textOfTxt(input.toString('latin1'))
    const http = httpOf(Buffer.from(input.toString('latin1')), random)
    await askHttps(
      http,
      'https://dns.example/dns-query',
      'example.com',
      random.pick(['A', 'TXT', 'CAA']),
      runOf(),
    )
  },
}
