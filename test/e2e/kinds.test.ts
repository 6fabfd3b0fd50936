/** Every kind of certificate that may be asked for, from the settings to the device port. */
import { X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { KEY_TYPES } from '../../lib/model/certificate.ts'
import { put } from '../support/put.ts'
import { DAY_MS, openScenario, type Scenario } from '../support/scenario.ts'

const bound = (s: Scenario): X509Certificate =>
  new X509Certificate(s.iotda.certificates().find(({ id }) => id === s.boundId())?.certificatePem ?? '')
const namesOf = ({ subjectAltName = '' }: X509Certificate): readonly string[] =>
  subjectAltName.split(', ').map(name => name.replace(/^DNS:/, ''))

test.each(KEY_TYPES)('a certificate with a key of type %s, served, and not ordered again', async keyType => {
  const s = await openScenario()
  await s.bindOne(20)
  await s.configure(settings => {
    settings.certificates.iot.keyType = keyType
    // Devices that are served ec-256 today are told of another kind.
    settings.targets[0].profiles = [{ name: 'any', keyTypes: [keyType] }]
  })
  const result = await s.runTo({ outcome: 'rotated' })
  expect(result.after?.keyType).toBe(keyType)
  const { asymmetricKeyType, asymmetricKeyDetails } = bound(s).publicKey
  expect(
    `${asymmetricKeyType} ${asymmetricKeyDetails?.modulusLength ?? asymmetricKeyDetails?.namedCurve}`,
  ).toBe(
    {
      ...{ 'rsa-2048': 'rsa 2048', 'rsa-3072': 'rsa 3072', 'rsa-4096': 'rsa 4096' },
      ...{ 'ec-256': 'ec prime256v1', 'ec-384': 'ec secp384r1' },
    }[keyType],
  )
  expect(await s.run()).toMatchObject({ outcome: 'idle' })
  expect(s.obtained()).toBe(1)
})

test('names beyond ASCII: as a person writes them in the settings, as DNS and the CA want them everywhere else', async () => {
  const s = await openScenario({ domain: 'iot.xn--bcher-kva.example' })
  await s.bindOne(20)
  await s.configure(
    put({
      'targets.0.domain': 'IoT.Bücher.example',
      'certificates.iot.names': ['iot.bücher.example', '*.iot.BÜCHER.example'],
    }),
  )
  expect(await s.run()).toMatchObject({ outcome: 'rotated', error: null })
  expect(namesOf(bound(s)).toSorted()).toEqual(['*.iot.xn--bcher-kva.example', 'iot.xn--bcher-kva.example'])
  // Another spelling is no other certificate.
  await s.configure(
    put({
      'targets.0.domain': 'iot.bücher.example',
      'certificates.iot.names': ['iot.xn--bcher-kva.example', '*.iot.bücher.example'],
    }),
  )
  expect(await s.run()).toMatchObject({ outcome: 'idle' })
  expect(await s.later(61 * DAY_MS)).toMatchObject({ outcome: 'rotated' })
  expect(s.obtained()).toBe(2)
})
