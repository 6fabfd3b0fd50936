/** What RFC 5280 forbids a CA to write, and sizes and limits that one stack or another has. */
import { der } from '../../support/issue.ts'
import { type Deviation, each, LEVELS } from './levels.ts'
import { nameOf, oid, seq, UTF8 } from './make.ts'
import {
  DIGITAL_SIGNATURE,
  directoryName,
  dns,
  EXT,
  HOST,
  keyUsage,
  type Plan,
  put,
  type Spec,
  san,
} from './plan.ts'

const NULL = Buffer.from([5, 0])
const TRUE = Buffer.from([1, 1, 255])
const FALSE = Buffer.from([1, 1, 0])
const ADDRESS = Buffer.from([127, 0, 0, 1])
const over = (parts: NonNullable<Spec['over']>) => (spec: Spec) => {
  spec.over = parts
}
const version = (number: number) => over({ version: der(0xa0, der(0x02, Buffer.from([number]))) })
const validity = (from: readonly [number, string], to: readonly [number, string]) =>
  over({ validity: seq(der(...from), der(...to)) })
const extension =
  (id: string, value: Buffer, critical = false) =>
  (spec: Spec) =>
    put(spec, { id, critical, value })
const beside =
  (...names: readonly Buffer[]) =>
  (spec: Spec) =>
    put(spec, san(dns(HOST), ...names))
const many = (count: number) => (spec: Spec) =>
  put(spec, san(...Array.from({ length: count - 1 }, (_, i) => dns(`d${i}`)), dns(HOST)))
const length = (...bytes: readonly number[]) =>
  extension(EXT.bc, seq(TRUE, der(0x02, Buffer.from(bytes))), true)
const trees = (...bases: readonly (readonly Buffer[])[]) =>
  extension(EXT.nc, seq(der(0xa0, ...bases.map(base => seq(...base)))), true)
const issuerOf = (spec: Spec, { leaf, middles, root, beyond, old }: Plan): Spec =>
  spec === leaf ? (middles[0] ?? root) : spec === beyond ? old : root
const signedByRsa = (algorithm: Buffer) => (spec: Spec, plan: Plan) => {
  issuerOf(spec, plan).keyType = 'rsa-2048'
  plan.beyond.keyType = plan.root.keyType
  Object.assign(spec, { sig: 'pss-sha256', over: { algorithm } })
}
const NETSCAPE_TYPE = '2.16.840.1.113730.1.1'
const OCSP = '1.3.6.1.5.5.7.48.1'

export const ENCODINGS: readonly Deviation[] = [
  ...each('encodings', LEVELS, {
    'version 2, with extensions': version(1),
    'version 1 written, with extensions': version(0),
    'version 4': version(3),
    'unique identifiers': over({
      identifiers: Buffer.concat([der(0x81, Buffer.from([0, 1])), der(0x82, Buffer.from([0, 1]))]),
    }),
    'times without seconds': validity([0x17, '2501010000Z'], [0x17, '4001010000Z']),
    'times with an offset': validity([0x17, '250101000000+0000'], [0x17, '400101000000+0000']),
    'times with a fraction': validity([0x18, '20250101000000.5Z'], [0x18, '20400101000000.5Z']),
    'no policy among policies': extension(EXT.policies, seq()),
    'authority key identifier with a serial number alone': (spec: Spec, plan: Plan) => {
      spec.aki = seq(der(0x82, issuerOf(spec, plan).serial.subarray(2)))
    },
    'a part of a name that is empty': (spec: Spec, plan: Plan) => {
      spec.subject = [...nameOf('x'), []]
      if (spec === plan.root || spec === plan.beyond) {
        plan.root.subject = spec.subject
        plan.beyond.subject = spec.subject
      }
    },
    'a serial of 33 bytes': (spec: Spec) => {
      spec.serial = der(0x04, Buffer.alloc(33, 0x11))
    },
  }),
  ...each('encodings', ['leaf', 'middle', 'beyond'], {
    'ECDSA with parameters': over({ algorithm: seq(oid('1.2.840.10045.4.3.2'), NULL) }),
    'two algorithms that signed': over({ outer: seq(oid('1.2.840.10045.4.3.3')) }),
    'PSS without parameters': signedByRsa(seq(oid('1.2.840.113549.1.1.10'))),
  }),
  ...each('path lengths', ['middle', 'root', 'beyond'], {
    'of 127': length(127),
    'of 128': length(0, 128),
    'of 300': length(1, 44),
    'of 2^31 - 1': length(0x7f, 255, 255, 255),
    'of 2^31': length(0, 0x80, 0, 0, 0),
  }),
  ...each('forms of names', ['leaf', 'middle', 'root'], {
    'of 17 parts': (spec: Spec, plan: Plan) => {
      const units = Array.from({ length: 14 }, (_, i) => [['2.5.4.11', UTF8, `unit ${i}`] as const])
      spec.subject = [...nameOf('x'), ...units]
      if (spec === plan.root) plan.beyond.subject = spec.subject
    },
  }),
  ...each('encodings', ['leaf'], {
    'no CA, in so many words': extension(EXT.bc, seq(FALSE), true),
    'an address of 5 bytes': beside(der(0x87, Buffer.alloc(5, 1))),
    'an address of no bytes': beside(der(0x87, Buffer.alloc(0))),
    'an empty DNS name': beside(dns('')),
    'an empty directory name': beside(der(0xa4, seq())),
    'an empty URI': beside(der(0x86, '')),
    'a URI without a scheme': beside(der(0x86, 'x')),
    'a URI with a scheme': beside(der(0x86, 'urn:uuid:f81d4fae')),
  }),
  ...each('names of the server', ['leaf'], {
    '100 names': many(100),
    '1024 names': many(1024),
    '1025 names': many(1025),
    'wildcard and an underscore': (spec: Spec, plan: Plan) => {
      plan.host = 'my_device.example.com'
      put(spec, san(dns('*.example.com')))
    },
  }),
  ...each('key usage', ['leaf'], {
    'signature and certificate signing, no CA': spec => put(spec, keyUsage(DIGITAL_SIGNATURE | 0x04)),
    'netscape type client': extension(NETSCAPE_TYPE, der(0x03, Buffer.from([7, 0x80]))),
    'netscape type server': extension(NETSCAPE_TYPE, der(0x03, Buffer.from([6, 0x40]))),
  }),
  ...each('name constraints', ['leaf'], {
    'in a leaf': extension(EXT.nc, seq(der(0xa0, seq(dns('example.com'))))),
  }),
  ...each('name constraints', ['middle', 'root'], {
    'permitted from a minimum on': trees([dns('example.com'), der(0x80, Buffer.from([1]))]),
    'permitted up to a maximum': trees([dns('example.com'), der(0x81, Buffer.from([3]))]),
    'permitted the empty organization': trees([der(0xa4, seq())]),
    'permitted 60 names': trees(...Array.from({ length: 60 }, (_, i) => [dns(`d${i}.com`)]), [
      dns('example.com'),
    ]),
    'permitted 140 names': trees(...Array.from({ length: 140 }, (_, i) => [dns(`d${i}.com`)]), [
      dns('example.com'),
    ]),
    'permitted a mail domain, the subject has another': (spec: Spec, plan: Plan) => {
      trees([dns('example.com')], [der(0x81, 'example.com')])(spec)
      plan.leaf.subject = [...nameOf('x'), [['1.2.840.113549.1.9.1', 0x16, 'a@example.net']]]
    },
    'permitted an address, the leaf has one': (spec: Spec, plan: Plan) => {
      trees([dns('example.com')], [der(0x87, Buffer.from([127, 0, 0, 0, 255, 0, 0, 0]))])(spec)
      put(plan.leaf, san(dns(HOST), der(0x87, ADDRESS)))
    },
    'permitted an address, the leaf has another': (spec: Spec, plan: Plan) => {
      trees([dns('example.com')], [der(0x87, Buffer.from([10, 0, 0, 0, 255, 0, 0, 0]))])(spec)
      put(plan.leaf, san(dns(HOST), der(0x87, ADDRESS)))
    },
    'permitted an organization in upper case': trees([
      directoryName([[['2.5.4.6', 0x13, 'CN']], [['2.5.4.10', UTF8, 'STACKS OF DEVICES']]]),
    ]),
  }),
  ...each('other extensions', ['leaf', 'middle'], {
    'a CRL point of a directory': extension(
      EXT.crldp,
      seq(
        seq(
          der(
            0xa0,
            der(
              0xa0,
              der(0x86, 'ldap:///CN=x?certificateRevocationList'),
              der(0x86, 'http://c.example.com/1'),
            ),
          ),
        ),
      ),
    ),
    'twelve places of authority access': extension(
      '1.3.6.1.5.5.7.1.1',
      seq(...Array.from({ length: 12 }, (_, i) => seq(oid(OCSP), der(0x86, `http://o${i}.example.com`)))),
    ),
  }),
]
