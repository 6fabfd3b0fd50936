import { describe, expect, test } from 'vitest'
import { parseHost } from '../../functions/probe-host.ts'
import { resultText } from '../../lib/present/text.ts'
import type { TargetResult } from '../../lib/report/result.ts'
import { answer, result } from './answers.ts'

describe('HOST[:PORT]', () => {
  test.each<[string, string | undefined, string, number, string]>([
    ['iot.example.com', undefined, 'iot.example.com', 8883, 'iot.example.com'],
    ['iot.example.com:443', undefined, 'iot.example.com', 443, 'iot.example.com'],
    ['device.example.net', 'iot.example.com', 'device.example.net', 8883, 'iot.example.com'],
    ['192.0.2.1', 'iot.example.com', '192.0.2.1', 8883, 'iot.example.com'],
    ['192.0.2.1:1', 'iot.example.com', '192.0.2.1', 1, 'iot.example.com'],
    ['2001:db8::1', 'iot.example.com', '2001:db8::1', 8883, 'iot.example.com'],
    ['[2001:db8::1]:65535', 'iot.example.com', '2001:db8::1', 65535, 'iot.example.com'],
    ['[2001:db8::1]', 'iot.example.com', '2001:db8::1', 8883, 'iot.example.com'],
    ['localhost', undefined, 'localhost', 8883, 'localhost'],
  ])('%s, asked for %s', (text, sni, host, port, serverName) => {
    expect(parseHost(text, sni)).toEqual({ host, port, serverName })
  })

  test.each<[string, string | undefined, string]>([
    ['', undefined, 'HOST[:PORT] is not understood'],
    ['iot.example.com:', undefined, 'HOST[:PORT] is not understood'],
    ['iot.example.com:0', undefined, 'HOST[:PORT] is not understood'],
    ['iot.example.com:65536', undefined, 'HOST[:PORT] is not understood'],
    ['https://iot.example.com', undefined, 'HOST[:PORT] is not understood'],
    ['a b', undefined, 'HOST[:PORT] is not understood'],
    ['-h', undefined, 'HOST[:PORT] is not understood'],
    ['[192.0.2.1]', 'iot.example.com', 'HOST[:PORT] is not understood'],
    ['[::g]:1', 'iot.example.com', 'HOST[:PORT] is not understood'],
    ['2001:db8::1:::', 'iot.example.com', 'HOST[:PORT] is not understood'],
    ['192.0.2.1', undefined, 'an IP address says nothing about the name to ask for'],
    ['[2001:db8::1]:1', undefined, 'an IP address says nothing about the name to ask for'],
    ['192.0.2.1', '', '--sni is no domain name'],
    ['iot.example.com', '1.2.3.4', '--sni is an IP address, not a name'],
    ['192.0.2.1', '192.0.2.1', '--sni is an IP address, not a name'],
    ['192.0.2.1', 'a b', '--sni is no domain name'],
    ['192.0.2.1', '--json', '--sni is no domain name'],
  ])('%s, asked for %s, is no question', (text, sni, message) => {
    expect(() => parseHost(text, sni)).toThrow(
      expect.objectContaining({ code: 'usage', message, hint: expect.stringMatching(/\w/) }),
    )
  })
})

test('a probe in words', () => {
  const certificate = (subject: string, issuer: string, letter: string) => ({
    subject,
    issuer,
    names: [],
    keyType: 'ec-256',
    fingerprint: letter.repeat(64),
    notBefore: '2026-06-01T00:00:00Z',
    notAfter: '2026-09-01T00:00:00Z',
  })
  const line = { check: 'lifetime', profile: 'meter-v1', served: null, new: '92d', remedy: null }
  const verdict = {
    profile: null,
    ok: false,
    protocol: 'TLSv1.2',
    cipher: 'TLS_X',
    problem: null,
    canary: null,
    durationMs: 12,
    lines: [],
  }
  const silent = { skipped: false, daysLeft: null, protocol: null, cipher: null, chain: [], verdicts: [] }
  const probe: NonNullable<TargetResult['probe']> = {
    serverName: 'iot.example.com',
    port: 8883,
    ok: false,
    expected: 'a'.repeat(64),
    addresses: [
      {
        address: '192.0.2.1',
        error: null,
        skipped: false,
        daysLeft: 78,
        protocol: 'TLSv1.3',
        cipher: 'TLS_Y',
        chain: [certificate('CN=iot.example.com', 'CN=CA', 'a'), certificate('CN=CA', 'CN=Root', 'b')],
        verdicts: [
          {
            ...verdict,
            profile: 'meter-v1',
            ok: true,
            canary: 'accepted',
            lines: [{ ...line, verdict: 'warn', reason: 'the cross-sign ends first' }],
          },
          { ...verdict, problem: 'no root issues it', durationMs: 5_020 },
        ],
      },
      {
        ...silent,
        address: '2001:db8::1',
        error: 'ECONNREFUSED',
        verdicts: [{ ...verdict, profile: 'a', protocol: null, cipher: null, problem: 'no answer' }],
      },
      { ...silent, address: '2001:db8::2', error: 'ENETUNREACH', skipped: true },
    ],
  }
  const failed = result({ outcome: 'failed', steps: [], before: null, after: null, probe })
  expect(resultText(answer(failed), 'probe')).toMatchInlineSnapshot(`
    "failed  factory-1: the run failed
      asked    for iot.example.com
      192.0.2.1:8883  78 days left, TLSv1.3 TLS_Y
        leaf   CN=iot.example.com, ec-256, by CN=CA, 2026-06-01T00:00:00Z to 2026-09-01T00:00:00Z, sha256 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        issuer CN=CA, ec-256, by CN=Root, 2026-06-01T00:00:00Z to 2026-09-01T00:00:00Z, sha256 bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
        accepts meter-v1 (TLSv1.2 TLS_X, 12 ms, canary accepted)
          warn  lifetime: the cross-sign ends first
        refuses any device (TLSv1.2 TLS_X, 5s): no root issues it
      [2001:db8::1]:8883  no answer: ECONNREFUSED
        refuses a (12 ms): no answer
      [2001:db8::2]:8883  skipped: this machine has no IPv6
      next     2026-08-01T00:00:00Z
    "
  `)
})
