/** Extensions: critical ones, usages, name constraints. */
import { der } from '../../support/issue.ts'
import { CAS, type Deviation, each, LEVELS } from './levels.ts'
import { nameOf, oid, seq } from './make.ts'
import {
  basic,
  CERT_SIGN,
  CRL_SIGN,
  DIGITAL_SIGNATURE,
  directoryName,
  dns,
  drop,
  EXT,
  eku,
  KEY_ENCIPHERMENT,
  keyUsage,
  put,
  SERVER,
  type Spec,
} from './plan.ts'

const CLIENT = '1.3.6.1.5.5.7.3.2'
const ANY_USE = '2.5.29.37.0'
const ANY_POLICY = '2.5.29.32.0'
const OWN_POLICY = '1.3.6.1.4.1.99999.1'
const extension = (id: string, value: Buffer, critical: boolean) => (spec: Spec) =>
  put(spec, { id, critical, value })
const trees = (tag: number, ...bases: readonly Buffer[]): Buffer => der(tag, ...bases.map(base => seq(base)))
const constraints = (permitted: readonly Buffer[], excluded: readonly Buffer[] = []): Buffer =>
  seq(
    ...(permitted.length > 0 ? [trees(0xa0, ...permitted)] : []),
    ...(excluded.length > 0 ? [trees(0xa1, ...excluded)] : []),
  )
const policies = (policy: string): Buffer => seq(seq(oid(policy)))
const URL_POINT = seq(seq(der(0xa0, der(0xa0, der(0x86, 'http://crl.example.com/1.crl')))))
const ACCESS = seq(seq(oid('1.3.6.1.5.5.7.48.1'), der(0x86, 'http://ocsp.example.com/')))
const number = (value: number): Buffer => der(0x02, Buffer.from([value]))
const critical = (id: string) => (spec: Spec) => {
  const found = spec.extensions.find(one => one.id === id)
  if (found) put(spec, { ...found, critical: !found.critical })
}
const usage = (bits: number) => (spec: Spec) => put(spec, keyUsage(bits))
const without = (id: string) => (spec: Spec) => drop(spec, id)
const uses =
  (...usages: readonly string[]) =>
  (spec: Spec) =>
    put(spec, eku(...usages))

export const EXTENSIONS: readonly Deviation[] = [
  ...each('critical extensions', LEVELS, {
    'unknown critical': extension('1.3.6.1.4.1.99999.7', number(1), true),
    'policies critical, own': extension(EXT.policies, policies(OWN_POLICY), true),
    'policies critical, any': extension(EXT.policies, policies(ANY_POLICY), true),
    'CRL points critical': extension(EXT.crldp, URL_POINT, true),
  }),
  ...each('critical extensions', ['leaf', 'beyond'], {
    'authority access critical': extension('1.3.6.1.5.5.7.1.1', ACCESS, true),
    'issuer names critical': extension('2.5.29.18', seq(dns('ca.example.com')), true),
    'netscape type critical': extension('2.16.840.1.113730.1.1', der(0x03, Buffer.from([6, 0x40])), true),
    'key usages of purpose critical': critical(EXT.eku),
    'alternative names critical': critical(EXT.san),
    'must-staple critical': extension('1.3.6.1.5.5.7.1.24', seq(number(5)), true),
  }),
  ...each('critical extensions', CAS, {
    'name constraints': extension(EXT.nc, constraints([dns('example.com')]), true),
    'policy constraints': extension(EXT.policyConstraints, seq(der(0x80, Buffer.from([3]))), true),
    'inhibit any policy': extension(EXT.inhibitAny, number(3), true),
    'policy mappings': spec => {
      put(spec, { id: EXT.policies, critical: false, value: policies(OWN_POLICY) })
      const mapping = seq(seq(oid(OWN_POLICY), oid('1.3.6.1.4.1.99999.2')))
      put(spec, { id: EXT.mappings, critical: true, value: mapping })
    },
  }),
  ...each('other extensions', LEVELS, {
    'unknown, not critical': extension('1.3.6.1.4.1.99999.7', number(1), false),
    'policies, own': extension(EXT.policies, policies(OWN_POLICY), false),
    'CRL points': extension(EXT.crldp, URL_POINT, false),
    'an extension twice': spec => {
      const [first] = spec.extensions
      if (first) spec.extensions.push(first)
    },
  }),
  ...each('name constraints', ['middle', 'root'], {
    'permitted, not critical': extension(EXT.nc, constraints([dns('example.com')]), false),
    'permitted another': extension(EXT.nc, constraints([dns('example.net')]), true),
    'excluded another': extension(EXT.nc, constraints([], [dns('example.net')]), true),
    'excluded this': extension(EXT.nc, constraints([], [dns('example.com')]), false),
    'permitted with a dot': extension(EXT.nc, constraints([dns('.example.com')]), true),
    'permitted an address': extension(EXT.nc, constraints([der(0x87, Buffer.alloc(8))]), true),
    'permitted the organization': extension(
      EXT.nc,
      constraints([directoryName(nameOf('').slice(0, 2))]),
      true,
    ),
  }),
  ...each('key usage', ['leaf'], {
    'no key usage': without(EXT.ku),
    'encipherment alone': usage(KEY_ENCIPHERMENT),
    'agreement alone': usage(0x08),
    'signature and encipherment': usage(DIGITAL_SIGNATURE | KEY_ENCIPHERMENT),
    'certificate signing alone': usage(CERT_SIGN),
    'no usage of purpose': without(EXT.eku),
    'any use of purpose': uses(ANY_USE),
    'client use of purpose': uses(CLIENT),
    'both uses of purpose': uses(SERVER, CLIENT),
    'no basic constraints': without(EXT.bc),
    'basic constraints not critical': critical(EXT.bc),
    'RSA with encipherment alone': spec => {
      spec.keyType = 'rsa-2048'
      put(spec, keyUsage(KEY_ENCIPHERMENT))
    },
    'a CA as a leaf': spec => {
      put(spec, basic(true))
      put(spec, keyUsage(DIGITAL_SIGNATURE | CERT_SIGN))
    },
  }),
  ...each('key usage', CAS, {
    'no key usage': without(EXT.ku),
    'no certificate signing': usage(DIGITAL_SIGNATURE | CRL_SIGN),
    'no basic constraints': without(EXT.bc),
    'no CA': spec => put(spec, basic(false)),
    'basic constraints not critical': critical(EXT.bc),
    'key usage not critical': critical(EXT.ku),
    'server use of purpose': uses(SERVER),
    'client use of purpose': uses(CLIENT),
    'any use of purpose': uses(ANY_USE),
  }),
]
