/** Answers as lib/app gives them, with what is special about a case. */
import type { Answer } from '../../lib/report/answer.ts'
import { nothingSeen, type ReportedLeaf, type TargetResult } from '../../lib/report/result.ts'
import type { ReportedKept } from '../../lib/report/status.ts'

export const reported = (more: Partial<ReportedLeaf> = {}): ReportedLeaf => ({
  serverCertificateId: 'a1',
  fingerprint: 'a'.repeat(64),
  serial: '01',
  subject: 'CN=iot.example.com',
  issuer: 'CN=Test CA',
  names: ['iot.example.com'],
  notBefore: '2026-06-01T00:00:00Z',
  notAfter: '2026-09-01T00:00:00Z',
  keyType: 'rsa-2048',
  ...more,
})

export const result = (more: Partial<TargetResult> = {}): TargetResult => ({
  target: 'factory-1',
  outcome: 'idle',
  decision: { due: false, reason: 'fresh', detail: '60d left', nextCheckAt: '2026-08-01T00:00:00Z' },
  steps: [{ step: 'decide', status: 'done', durationMs: 1, call: null, detail: 'idle (fresh): 60d left' }],
  before: reported(),
  after: reported(),
  deleted: [],
  warnings: [],
  error: null,
  outlook: nothingSeen,
  ...more,
})

export const answer = (...results: readonly TargetResult[]): Answer => ({
  version: 1,
  runId: 'run-1',
  trigger: 'manual',
  ok: true,
  startedAt: '2026-06-15T12:00:00Z',
  finishedAt: '2026-06-15T12:00:05Z',
  results,
})

/** What is written down of a target that is well. */
export const kept = (more: Partial<ReportedKept> = {}): ReportedKept => ({
  lastResult: null,
  held: null,
  failures: 0,
  retryAfter: null,
  trouble: null,
  undelivered: 0,
  renewalWindow: null,
  history: [],
  lastSteps: [],
  orders: [],
  ...more,
})
