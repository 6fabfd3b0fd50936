/** What the rotation asks of a chain on behalf of every target that shares it. */
import { describe, expect, test } from 'vitest'
import type { DeviceProfile } from '../../lib/fleet.ts'
import type { Target } from '../../lib/model.ts'
import { acceptable, suitable } from '../../lib/rotation/preflight.ts'
import type { Job, World } from '../../lib/rotation/world.ts'
import { profile } from '../devices/profile.ts'
import { build } from '../support/chain.ts'
import { fakeClock } from '../support/clock.ts'
import { leafExtensions, NOW } from '../support/issue.ts'
import { DOMAIN, inspection, newRun, target } from './facts.ts'

const built = await build({ leaf: { extensions: leafExtensions(DOMAIN) } })
const other = await build()
const PEM = built.leaf.pem + built.middle.pem
const job = { inspection: inspection({}) } as Job

const world = (...sharing: readonly Partial<Target>[]) =>
  ({
    run: newRun(fakeClock(NOW)),
    sharing: sharing.map(more => ({ ...target, trustedRoots: built.root.pem, ...more })),
  }) as unknown as World
const devices = (...own: readonly Partial<DeviceProfile>[]): Partial<Target> => ({
  profiles: own.map(profile),
})

describe('a chain among others for the same leaf', () => {
  test.each([
    ['no profile', [{}], true],
    ['a profile with the right root', [devices({ trustedRoots: built.root.pem })], true],
    ['a profile without roots has those of the target', [devices({})], true],
    ['one of two profiles with another root', [devices({}, { trustedRoots: other.root.pem })], false],
    ['another target with another root', [{}, { trustedRoots: other.root.pem }], false],
    ['too deep for a target that shares it', [{}, devices({ maxChainDepth: 1 })], false],
    ['what is wrong with every chain of this leaf', [devices({ keyTypes: ['rsa-2048'] })], true],
    ['the clock', [devices({ clockLagMs: 90 * 86_400_000 })], true],
  ])('%s', (_, sharing, expected) => {
    expect(acceptable(world(...sharing), job, PEM)).toBe(expected)
  })

  test('never throws', () => {
    expect(acceptable(world({}), job, 'no PEM')).toBe(false)
    expect(suitable(world({}), job, 'no PEM')).toBe(false)
  })
})

test('a leaf that another source may do better than', () => {
  expect(suitable(world(devices({ keyTypes: ['rsa-2048'] })), job, PEM)).toBe(false)
  expect(suitable(world(devices({ clockLagMs: 60 * 86_400_000 })), job, PEM)).toBe(true)
  // Devices that would take it for valid only when it is over.
  expect(suitable(world(devices({ clockLagMs: 900 * 86_400_000 })), job, PEM)).toBe(false)
})
