/** CAA record sets, each with what it permits: RFC 8659, RFC 8657. The records are read from DNS, over both ways. */
import { describe, expect, it } from 'vitest'
import { caaPermission, type Issuer, relevantCaa, requireCaa } from '../../lib/dns/caa.ts'
import { B, cname, errorOf, example, R, start, startHttps } from './rig.ts'

const ACCOUNT = 'https://ca.test/acct/1'
const ISSUER: Issuer = { identities: ['ca.test', 'ca.example'], accountUrl: ACCOUNT }
const caa = (name: string, ...values: string[]) => ({ name, type: 'CAA' as const, values })

/** The records of example.com, then whether it and its wildcard are allowed, and what the reason says of a refusal. */
const TABLE: readonly (readonly [
  records: readonly string[],
  plain: string,
  wildcard: string,
  why: string,
])[] = [
  // RFC 8659 section 4.2
  [[], 'allowed', 'allowed', ''],
  [['0 issue "ca.test"'], 'allowed', 'allowed', ''],
  [['0 issue "CA.Test"'], 'allowed', 'allowed', ''],
  [['0 ISSUE "ca.test"'], 'allowed', 'allowed', ''],
  [['0 issue "ca.example"'], 'allowed', 'allowed', ''],
  [['0 issue " ca.test ; policy=ev "'], 'allowed', 'allowed', ''],
  [['0 issue "ca.test;"'], 'allowed', 'allowed', ''],
  [['0 issue "other.test"'], 'forbidden', 'forbidden', 'allows other.test, but not ca.test or ca.example'],
  [['0 issue "other.test"', '0 issue "ca.test"'], 'allowed', 'allowed', ''],
  [['0 issue "sub.ca.test"'], 'forbidden', 'forbidden', 'allows sub.ca.test'],
  [['0 issue ";"'], 'forbidden', 'forbidden', 'allows nobody'],
  [['0 issue ""'], 'forbidden', 'forbidden', 'allows nobody'],
  [['0 issue ";"', '0 issue "ca.test"'], 'allowed', 'allowed', ''],
  [['0 issue "%%%%%"'], 'forbidden', 'forbidden', 'allows nobody'],
  [['0 issue "ca.test; policy"'], 'forbidden', 'forbidden', 'allows nobody'],
  [['0 issue "ca.test; a=b c"'], 'forbidden', 'forbidden', 'allows nobody'],
  // Section 4.3
  [['0 issuewild "ca.test"'], 'allowed', 'allowed', ''],
  [['0 issuewild ";"'], 'allowed', 'forbidden', 'allows for wildcards nobody'],
  [['0 issuewild "other.test"'], 'allowed', 'forbidden', 'allows for wildcards other.test'],
  [['0 issue "ca.test"', '0 issuewild ";"'], 'allowed', 'forbidden', 'wildcards nobody'],
  [['0 issue ";"', '0 issuewild "ca.test"'], 'forbidden', 'allowed', 'allows nobody'],
  [['0 issue "ca.test"', '0 issuewild "other.test"'], 'allowed', 'forbidden', 'other.test'],
  // Sections 4.1, 4.4 and 4.5
  [['0 iodef "mailto:ops@example.com"'], 'allowed', 'allowed', ''],
  [['128 iodef "mailto:ops@example.com"'], 'allowed', 'allowed', ''],
  [['128 issue "ca.test"'], 'allowed', 'allowed', ''],
  [['128 issuemail ";"', '0 issue "ca.test"'], 'allowed', 'allowed', ''],
  [['0 tbs "unknown"'], 'allowed', 'allowed', ''],
  [['0 tbs "unknown"', '0 issue "other.test"'], 'forbidden', 'forbidden', 'other.test'],
  [['128 tbs "unknown"'], 'forbidden', 'forbidden', 'the critical property "tbs"'],
  [['128 tbs "unknown"', '0 issue "ca.test"'], 'forbidden', 'forbidden', 'the critical property "tbs"'],
  // RFC 8657 section 3
  [[`0 issue "ca.test; accounturi=${ACCOUNT}"`], 'allowed', 'allowed', ''],
  [[`0 issue "ca.test;accounturi = ${ACCOUNT}"`], 'allowed', 'allowed', ''],
  [
    [`0 issue "ca.test; accounturi=${ACCOUNT}0"`],
    'forbidden',
    'forbidden',
    `only for the account ${ACCOUNT}0`,
  ],
  [[`0 issue "ca.test; accounturi="`], 'forbidden', 'forbidden', 'only for the account '],
  [
    [`0 issue "ca.test; accounturi=${ACCOUNT}; accounturi=${ACCOUNT}"`],
    'forbidden',
    'forbidden',
    'names a parameter twice',
  ],
  [[`0 issue "ca.test; accounturi=${ACCOUNT}0"`, '0 issue "ca.test"'], 'allowed', 'allowed', ''],
  [[`0 issue "other.test; accounturi=${ACCOUNT}"`], 'forbidden', 'forbidden', 'other.test'],
  // Section 4
  [['0 issue "ca.test; validationmethods=dns-01"'], 'allowed', 'allowed', ''],
  [['0 issue "ca.test; validationmethods=http-01,dns-01"'], 'allowed', 'allowed', ''],
  [
    ['0 issue "ca.test; validationmethods=http-01"'],
    'forbidden',
    'forbidden',
    'only with validation by http-01',
  ],
  [['0 issue "ca.test; validationmethods=dns-011"'], 'forbidden', 'forbidden', 'dns-011'],
  [['0 issue "ca.test; validationmethods="'], 'forbidden', 'forbidden', 'by nothing'],
  [[`0 issue "ca.test; validationmethods=dns-01; accounturi=${ACCOUNT}"`], 'allowed', 'allowed', ''],
  [
    [`0 issue "ca.test; validationmethods=http-01; accounturi=${ACCOUNT}"`],
    'forbidden',
    'forbidden',
    'http-01',
  ],
]

describe('permissions', () => {
  describe.each([
    ['over port 53', start],
    ['over HTTPS', startHttps],
  ] as const)('%s', (_, open) => {
    it.each(TABLE)('%j: %s, the wildcard %s', async (values, plain, wildcard, why) => {
      const { access } = await open([example(values.length > 0 ? [caa('example.com', ...values)] : [])])
      const relevant = await relevantCaa('example.com', access())
      const permissions = [false, true].map(isWildcard => caaPermission(relevant, isWildcard, ISSUER))
      expect(permissions.map(it => it.kind)).toEqual([plain, wildcard])
      for (const permission of permissions.filter(it => it.kind === 'forbidden')) {
        expect(permission.why).toContain('CAA of example.com ')
        expect(permission.why).toContain(why)
      }
    })
  })

  const withRecord = (value: string) => ({
    at: 'example.com',
    records: [{ flags: 0, tag: 'issue', value }],
  })

  it.each([
    ['ca.test', 'unclear'],
    [';', 'forbidden'],
  ])('a CA that does not say its name: %s is %s', (value, kind) => {
    expect(caaPermission(withRecord(value), false, { identities: [], accountUrl: null }).kind).toBe(kind)
  })

  it('an account that is not known yet is not compared', () => {
    const tied = withRecord(`ca.test; accounturi=${ACCOUNT}`)
    expect(caaPermission(tied, false, { ...ISSUER, accountUrl: null }).kind).toBe('allowed')
  })

  it.each([
    ['other.test', false, 'Add a CAA record to example.com: 0 issue "ca.test" or 0 issue "ca.example".'],
    [
      'ca.test; accounturi=x:y',
      false,
      `0 issue "ca.test; accounturi=${ACCOUNT}" or 0 issue "ca.example; accounturi=${ACCOUNT}".`,
    ],
  ])('%s: the remedy is the record to add', (value, isWildcard, remedy) => {
    expect(caaPermission(withRecord(value), isWildcard, ISSUER)).toMatchObject({
      remedy: expect.stringContaining(remedy),
    })
  })
})

describe('the records that count', () => {
  const at = async (domain: string, ...records: NonNullable<Parameters<typeof example>[0]>) => {
    const { access } = await start([example(records)])
    return (await relevantCaa(domain, access()))?.at ?? null
  }

  it.each([
    ['of the name itself', 'a.iot.example.com', 'a.iot.example.com'],
    ['of its parent', 'b.iot.example.com', 'iot.example.com'],
    ['of the parent of that', 'c.d.example.com', 'example.com'],
  ])('are those %s', async (_, domain, expected) => {
    const records = ['a.iot.example.com', 'iot.example.com', 'example.com'].map(name =>
      caa(name, '0 issue ";"'),
    )
    expect(await at(domain, ...records)).toBe(expected)
  })

  it('are none without any', async () => {
    expect(await at('a.example.com')).toBeNull()
  })

  it('are followed behind an alias, whose parents do not count', async () => {
    const records = [
      cname('a.example.com', 'b.elsewhere.example.com'),
      caa('elsewhere.example.com', '0 issue "other.test"'),
    ]
    expect(await at('a.example.com', ...records)).toBeNull()
    expect(await at('a.example.com', ...records, caa('b.elsewhere.example.com', '0 issue ";"'))).toBe(
      'a.example.com',
    )
  })

  it('are asked for side by side, and not at the top', async () => {
    const { access, dns } = await start()
    await relevantCaa('a.b.example.com', access())
    expect(dns.queries.filter(it => it.type === 'CAA').map(it => it.name)).toEqual([
      'a.b.example.com',
      'b.example.com',
      'example.com',
    ])
  })
})

describe('records that cannot be read', () => {
  const domain = { domain: 'iot.example.com', wildcards: [false] }

  it('stop an order, with what to do', async () => {
    const { access, dns } = await start()
    dns.setNode(R, { servfail: ['CAA'] })
    expect(await errorOf(requireCaa(domain, ISSUER, access()))).toMatchObject({
      code: 'unavailable',
      retry: 'later',
      message: 'DNS: the CAA records of iot.example.com cannot be read: SERVFAIL',
      hint: expect.stringContaining('CAs do not issue while CAA cannot be read'),
    })
  })

  it('are passed over in the emergency, with a warning', async () => {
    const { access, dns, warnings } = await start()
    dns.setNode(R, { servfail: ['CAA'] })
    await requireCaa(domain, ISSUER, { ...access(), emergency: true })
    expect(warnings().map(it => it.message)).toEqual([
      'going on without CAA: DNS: the CAA records of iot.example.com cannot be read: SERVFAIL',
    ])
  })

  it('do not matter above a name that has some', async () => {
    const { access, dns } = await start([example([caa('iot.example.com', '0 issue "ca.test"')])])
    expect(await relevantCaa('iot.example.com', access())).toMatchObject({ at: 'iot.example.com' })
    expect(dns.count({ address: R, type: 'CAA' })).toBe(2)
  })

  it('a refusal is one in the emergency, too', async () => {
    const { access } = await start([example([caa('example.com', '0 issue "other.test"')])])
    expect(await errorOf(requireCaa(domain, ISSUER, { ...access(), emergency: true }))).toMatchObject({
      code: 'caa-forbids',
      retry: 'never',
      message: 'iot.example.com: CAA of example.com allows other.test, but not ca.test or ca.example',
    })
  })

  it('a wildcard beside its apex is judged for itself', async () => {
    const { access } = await start([example([caa('example.com', '0 issue "ca.test"', '0 issuewild ";"')])])
    const both = { domain: 'iot.example.com', wildcards: [false, true] }
    expect(await errorOf(requireCaa(both, ISSUER, access()))).toMatchObject({
      message: expect.stringMatching(/^\*\.iot\.example\.com: /),
    })
  })

  it('the servers of the settings are asked where no resolver is named, and may keep silent', async () => {
    const { access, dns, warnings } = await start()
    const given = { resolvers: [], nameservers: [`${B}:${dns.port}`] }
    dns.setNode(B, { servfail: ['CAA'] })
    await requireCaa(domain, ISSUER, access(given))
    expect(new Set(dns.queries.map(it => it.address))).toEqual(new Set([B]))
    expect(warnings()).toHaveLength(1)
  })
})
