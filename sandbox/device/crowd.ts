/**
 * Devices in the field, without sockets: each holds its connection for hours, then connects again and looks at what
 * is bound by then. One that does not take it stays away and tries again.
 */
import { X509Certificate } from 'node:crypto'
import type { Iotda } from '../iotda/iotda.ts'
import type { RegisteredDevice } from '../iotda/search.ts'

/** Devices of one kind. */
export interface DeviceType {
  readonly productId: string
  readonly count: number
  /** What they pin; may be added to. */
  readonly rootPems: readonly string[]
}

export interface CrowdOptions {
  readonly iotda: Pick<Iotda, 'bound' | 'onBind'>
  readonly now: () => number
  readonly types: readonly DeviceType[]
  /** Numbers from 0 to below 1. */
  readonly random: () => number
}

export interface Crowd {
  /** As they are now, for SearchDevices. */
  devices(): readonly RegisteredDevice[]
  /** Connections that a device broke off until now, and how many devices that were. */
  refused(): { readonly connections: number; readonly devices: number }
}

const HOUR_MS = 3_600_000
/** A connection lasts from two hours to half a day. */
const HELD_MS = [2 * HOUR_MS, 12 * HOUR_MS] as const
/** A device that was refused tries again every half an hour to an hour. */
const AGAIN_MS = [HOUR_MS / 2, HOUR_MS] as const

interface Device {
  readonly deviceId: string
  readonly type: DeviceType
  nextAt: number
  isOnline: boolean
  refused: number
}

/** What was bound from an instant on. */
interface Served {
  readonly at: number
  readonly chain: readonly X509Certificate[]
}

const chainOf = (pem: string): readonly X509Certificate[] =>
  pem
    .split(/(?<=-----END CERTIFICATE-----)/)
    .flatMap(one => (one.includes('BEGIN') ? [new X509Certificate(one)] : []))

/** Whether one of the certificates that are served was issued by a root that is pinned. */
const leadsTo = ({ chain }: Served, rootPems: readonly string[]): boolean =>
  rootPems.some(pem => {
    const root = new X509Certificate(pem)
    return chain.some(one => one.checkIssued(root) && one.verify(root.publicKey))
  })

const isCurrent = ([leaf]: readonly X509Certificate[], at: number): boolean =>
  leaf !== undefined && Date.parse(leaf.validFrom) <= at && at <= Date.parse(leaf.validTo)

/** All are online at first. */
export function createCrowd({ iotda, now, types, random }: CrowdOptions): Crowd {
  const between = ([least, most]: readonly [number, number]): number => least + random() * (most - least)
  const served: Served[] = []
  const look = (at: number): void =>
    void served.push({ at, chain: chainOf(iotda.bound()?.certificatePem ?? '') })
  look(Number.NEGATIVE_INFINITY)
  iotda.onBind(() => look(now()))
  const known = new Map<string, boolean>()
  const trusts = ({ productId, rootPems }: DeviceType, place: number): boolean => {
    const key = `${productId} ${rootPems.length} ${place}`
    const told = known.get(key) ?? served.slice(place, place + 1).some(one => leadsTo(one, rootPems))
    known.set(key, told)
    return told
  }
  const devices = types.flatMap(type =>
    Array.from({ length: type.count }, (_, i): Device => {
      const deviceId = `${type.productId}-${i}`
      return { deviceId, type, nextAt: now() + random() * HELD_MS[1], isOnline: true, refused: 0 }
    }),
  )
  const catchUp = (device: Device, until: number): void => {
    while (device.nextAt <= until) {
      const place = served.findLastIndex(({ at }) => at <= device.nextAt)
      device.isOnline = trusts(device.type, place) && isCurrent(served[place]?.chain ?? [], device.nextAt)
      if (!device.isOnline) device.refused += 1
      device.nextAt += between(device.isOnline ? HELD_MS : AGAIN_MS)
    }
  }
  const all = (): readonly Device[] => {
    for (const device of devices) catchUp(device, now())
    return devices
  }
  return {
    devices: () =>
      all().map(({ deviceId, type: { productId }, isOnline }) => ({
        ...{ deviceId, productId, status: isOnline ? 'ONLINE' : 'OFFLINE' },
      })),
    refused: () => ({
      connections: all().reduce((sum, { refused }) => sum + refused, 0),
      devices: all().filter(({ refused }) => refused > 0).length,
    }),
  }
}
