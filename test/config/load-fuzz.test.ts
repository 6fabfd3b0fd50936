import { rootCertificates } from 'node:tls'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RotationError } from '../../lib/base/rotation-error.ts'
import { changed, load, type Raw, sample } from './sample.ts'

type Path = readonly (string | number)[]

const full = changed(raw => {
  Object.assign(raw.targets[0], {
    probe: {
      mode: 'require',
      host: 'iot.example.com',
      port: 8883,
      addresses: ['192.0.2.1'],
      steady: 3,
      within: '3m',
    },
    slots: { delete: 'managed' },
    trustedRoots: rootCertificates[0],
    profiles: [],
  })
  Object.assign(raw.certificates.iot, { renewBefore: '1/3', ari: true, profile: null })
  raw.sources.letsencrypt.solver = { 'example.com': 'dns' }
  raw.sources.letsencrypt.externalAccount = { kid: 'k', hmacKey: 'env:SK' }
  raw.store = { type: 'file', path: './state', sealKey: 'env:SEAL_KEY' }
  raw.notifiers = [{ type: 'webhook', url: 'env:ALERT_URL', format: 'json' }]
  raw.schedule = { interval: '30m' }
})

const pathsOf = (value: unknown, path: Path = []): readonly Path[] => [
  path,
  ...(Array.isArray(value)
    ? value.flatMap((item, i) => pathsOf(item, [...path, i]))
    : typeof value === 'object' && value !== null
      ? Object.entries(value).flatMap(([key, item]) => pathsOf(item, [...path, key]))
      : []),
]
const paths = pathsOf(full)

const KEYS = ['type', 'name', 'solver', '__proto__', 'constructor', 'toString', 'length', '', 'targets']
const TEXTS = [
  'env:AK',
  'env:',
  'file:/nowhere/x',
  'csms:x',
  '__proto__',
  'constructor',
  'http://[',
  'xn--',
  '*.',
  'huaweicloud',
  '\ud800',
]
const value: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom<unknown>(...TEXTS),
  fc.constantFrom<unknown>(null, [], {}, [null], 1e308, -0, true),
  fc.constantFrom(...paths).map(path => at(full, path)),
)
interface Mutation {
  readonly path: Path
  readonly kind: 'replace' | 'remove' | 'add' | 'repeat'
  readonly key: string
  readonly value: unknown
}
const mutation: fc.Arbitrary<Mutation> = fc.record({
  path: fc.constantFrom(...paths),
  kind: fc.constantFrom('replace', 'remove', 'add', 'repeat'),
  key: fc.oneof(fc.constantFrom(...KEYS), fc.string()),
  value,
})

function at(root: unknown, path: Path): Raw {
  return path.reduce<Raw>((inside, key) => inside?.[key], root)
}

/** An earlier mutation may have taken the place away; then nothing happens. */
function mutate(root: Raw, { path, kind, key, value }: Mutation): Raw {
  const last = path.at(-1)
  const parent = at(root, path.slice(0, -1))
  const place = at(root, path)
  const isObject = typeof place === 'object' && place !== null
  if (kind === 'add' && isObject && !Array.isArray(place))
    Object.defineProperty(place, key, { value, enumerable: true, configurable: true, writable: true })
  if (kind === 'repeat' && Array.isArray(place)) place.push(...structuredClone(place).slice(0, 2))
  if (last === undefined) return kind === 'replace' ? value : root
  if (typeof parent !== 'object' || parent === null) return root
  if (kind === 'remove') delete parent[last]
  if (kind === 'replace') parent[last] = structuredClone(value)
  return root
}

test('the settings that are mutated are good', async () => {
  expect((await load(full)).targets).toHaveLength(1)
  expect(paths.length).toBeGreaterThan(50)
})

test('any mutation of them gives settings, or one error that names every mistake', async () => {
  let taken = 0
  let refused = 0
  await fc.assert(
    fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 4 }), async mutations => {
      const raw = mutations.reduce(mutate, structuredClone(full))
      // Inline settings begin with a brace; anything else is a file's name.
      fc.pre(typeof raw === 'object' && raw !== null && !Array.isArray(raw))
      try {
        const settings = await load(raw)
        taken += 1
        expect(settings.targets.length).toBeGreaterThan(0)
        for (const target of settings.targets) {
          expect(settings.certificates[target.certificate]?.names.length).toBeGreaterThan(0)
          const credentials = settings.access[target.name]?.credentials ?? ''
          expect(Object.hasOwn(settings.credentials, credentials)).toBe(true)
        }
      } catch (thrown) {
        if (!(thrown instanceof RotationError)) throw thrown
        refused += 1
        expect(thrown.code).toBe('settings-invalid')
        expect(thrown.message.split('\n').length).toBeGreaterThan(1)
        expect(thrown.message).not.toMatch(/undefined|\[object/)
      }
    }),
    { numRuns: 1_500 },
  )
  expect(Math.min(taken, refused)).toBeGreaterThan(20)
}, 60_000)

test('any text at all is refused as settings', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string(), async text => {
      const thrown = await load({ ...sample(), version: text }).catch(error => error)
      expect(thrown).toMatchObject({ code: 'settings-invalid' })
    }),
    { numRuns: 50 },
  )
})
