/** Names of subjects, issuers and servers, and forms of certificates. */
import { der } from '../../support/issue.ts'
import { at, type Deviation, each, LEVELS, whole } from './levels.ts'
import { BMP, type Name, nameOf, oid, PRINTABLE, seq, TELETEX, UTF8 } from './make.ts'
import { directoryName, dns, drop, EXT, HOST, type Plan, put, type Spec, san } from './plan.ts'

const cn = (tag: number, text: string): Name => [...nameOf('').slice(0, 2), [['2.5.4.3', tag, text]]]
/** The issuer's name as its certificate does not write it. */
const differently = (level: 'leaf' | 'middle', inCa: Name, inChild: Name) => (plan: Plan) => {
  const [child, ca] = level === 'leaf' ? [plan.leaf, plan.middles[0]] : [plan.middles[0], plan.root]
  if (ca) ca.subject = inCa
  if (child) child.issuer = inChild
}
const NAME_PAIRS: readonly (readonly [string, Name, Name])[] = [
  ['printable and UTF-8', cn(UTF8, 'Some CA'), cn(PRINTABLE, 'Some CA')],
  ['upper and lower case', cn(UTF8, 'Some CA'), cn(UTF8, 'SOME CA')],
  ['one space and two', cn(UTF8, 'Some CA'), cn(UTF8, 'Some  CA')],
  ['a space at the end', cn(UTF8, 'Some CA'), cn(UTF8, 'Some CA ')],
  ['BMP and UTF-8', cn(BMP, 'Some CA'), cn(UTF8, 'Some CA')],
  ['Teletex and UTF-8', cn(TELETEX, 'Some CA'), cn(UTF8, 'Some CA')],
]
const SAME_NAMES: readonly (readonly [string, Name])[] = [
  ['BMP', cn(BMP, 'Some CA')],
  ['Teletex', cn(TELETEX, 'Some CA')],
  ['printable', cn(PRINTABLE, 'Some CA')],
  ['umlauts', cn(UTF8, 'Prüfstelle für Geräte')],
  ['Chinese', cn(UTF8, '设备根证书')],
  [
    'two attributes in one',
    [
      [
        ['2.5.4.10', UTF8, 'Some'],
        ['2.5.4.3', UTF8, 'CA'],
      ],
    ],
  ],
  ['of 200 characters', cn(UTF8, 'x'.repeat(200))],
  ['without a common name', nameOf('').slice(0, 2)],
  ['a mail address', [...cn(UTF8, 'CA'), [['1.2.840.113549.1.9.1', 0x16, 'ca@example.com']]]],
  ['a domain component', [[['0.9.2342.19200300.100.1.25', 0x16, 'example']], ...cn(UTF8, 'CA')]],
]

export const NAMES: readonly Deviation[] = [
  ...NAME_PAIRS.flatMap(([name, inCa, inChild]) =>
    (['leaf', 'middle'] as const).map(level => ({
      name: `issuer written otherwise, ${name}: ${level}`,
      kind: 'issuer and subject written differently',
      apply: differently(level, inCa, inChild),
    })),
  ),
  ...SAME_NAMES.flatMap(([name, subject]) =>
    LEVELS.slice(0, 3).map(level => ({
      name: `subject ${name}: ${level}`,
      kind: 'forms of names',
      apply: at(level, (spec, plan) => {
        spec.subject = subject
        if (spec === plan.root) plan.beyond.subject = subject
      }),
    })),
  ),
  ...whole('forms of names', {
    'no subject, names critical': plan => {
      plan.leaf.subject = []
      put(plan.leaf, { ...san(dns(HOST)), critical: true })
    },
    'no subject, names not critical': plan => {
      plan.leaf.subject = []
    },
    'leaf and intermediate of one name': plan => {
      plan.leaf.subject = plan.middles[0]?.subject ?? []
    },
    'a leaf named as the root': plan => {
      plan.leaf.subject = plan.root.subject
    },
  }),
  ...each('forms of certificates', LEVELS, {
    'serial 0': spec => {
      spec.serial = der(0x04, Buffer.from([0]))
    },
    'a negative serial': spec => {
      spec.serial = der(0x04, Buffer.from([0xff, 1]))
    },
    'a serial of 20 bytes': spec => {
      spec.serial = der(0x04, Buffer.alloc(20, 0x11))
    },
    'a serial of 22 bytes': spec => {
      spec.serial = der(0x04, Buffer.alloc(22, 0x11))
    },
    'no extensions': spec => Object.assign(spec, { extensions: [], ski: 'none', aki: 'none' }),
    'version 1': spec => Object.assign(spec, { version: 1 }),
    'no subject key identifier': spec => {
      spec.ski = 'none'
    },
    'no authority key identifier': spec => {
      spec.aki = 'none'
    },
    'authority key identifier of another': spec => {
      spec.aki = seq(der(0x80, Buffer.alloc(20, 3)))
    },
    'a subject key identifier of its own kind': spec => {
      spec.ski = Buffer.from('my own id')
    },
    'times in the long form': spec => {
      spec.longTime = true
    },
    expired: spec => {
      spec.days = [-800, -1]
    },
    'not yet valid': spec => {
      spec.days = [1, 90]
    },
    'valid to the year 9999': spec => {
      spec.days = [-10, 2_900_000]
    },
  }),
]

const SANS: Readonly<Record<string, (spec: Spec, plan: Plan) => void>> = {
  'common name alone': spec => {
    drop(spec, EXT.san)
    spec.subject = cn(UTF8, HOST)
  },
  'common name, another alternative': spec => {
    put(spec, san(dns('other.example.com')))
    spec.subject = cn(UTF8, HOST)
  },
  'common name, an address alone': spec => {
    put(spec, san(der(0x87, Buffer.from([127, 0, 0, 1]))))
    spec.subject = cn(UTF8, HOST)
  },
  'common name, a mail address alone': spec => {
    put(spec, san(der(0x81, 'a@example.com')))
    spec.subject = cn(UTF8, HOST)
  },
  'another name': spec => put(spec, san(dns('other.example.com'))),
  wildcard: spec => put(spec, san(dns('*.example.com'))),
  'wildcard of two labels': spec => put(spec, san(dns('*.com'))),
  'wildcard of the whole': spec => put(spec, san(dns('*'))),
  'partial wildcard': spec => put(spec, san(dns('i*.example.com'))),
  'wildcard within': spec => put(spec, san(dns('iot.*.com'))),
  'upper case': spec => put(spec, san(dns('IOT.Example.COM'))),
  'a dot at the end': spec => put(spec, san(dns(`${HOST}.`))),
  'a space at the end': spec => put(spec, san(dns(`${HOST} `))),
  'wildcard and an IDN': (spec, plan) => {
    put(spec, san(dns('*.example.com')))
    plan.host = 'xn--gerte-kra.example.com'
  },
  'an IDN': (spec, plan) => {
    plan.host = 'xn--gerte-kra.example.com'
    put(spec, san(dns(plan.host)))
  },
  'wildcard below an IDN': (spec, plan) => {
    plan.host = 'iot.xn--gerte-kra.com'
    put(spec, san(dns('*.xn--gerte-kra.com')))
  },
  'wildcard, two labels below': (spec, plan) => {
    plan.host = 'a.iot.example.com'
    put(spec, san(dns('*.example.com')))
  },
  'a name of 60 characters': (spec, plan) => {
    plan.host = `${'a'.repeat(60)}.example.com`
    put(spec, san(dns(plan.host)))
  },
  'an underscore': (spec, plan) => {
    plan.host = 'my_device.example.com'
    put(spec, san(dns(plan.host)))
  },
  'all kinds of names': spec =>
    put(
      spec,
      san(
        der(0x81, 'a@example.com'),
        der(0x86, 'https://example.com/'),
        der(0x87, Buffer.from([127, 0, 0, 1])),
        der(0x87, Buffer.alloc(16, 1)),
        directoryName(nameOf('x')),
        der(0x88, Buffer.from([0x2a, 3, 4])),
        der(0xa0, oid('1.3.6.1.4.1.311.20.2.3'), der(0xa0, der(0x0c, 'a@example.com'))),
        dns(HOST),
      ),
    ),
  'no name at all': spec => put(spec, san()),
  '300 names': spec =>
    put(spec, san(...Array.from({ length: 300 }, (_, i) => dns(`d${i}.example.com`)), dns(HOST))),
  'a name with a zero byte': spec => put(spec, san(dns(`${HOST}\0.example.net`))),
}

export const SERVER_NAMES: readonly Deviation[] = each('names of the server', ['leaf'], SANS)
