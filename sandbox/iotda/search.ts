import type { Route } from '../kit/http.ts'

/** A registered device, as SearchDevices knows it. */
export interface RegisteredDevice {
  readonly deviceId: string
  readonly productId: string
  readonly status: 'ONLINE' | 'OFFLINE' | 'INACTIVE'
}

/** What SearchDevices answers from. */
export interface DeviceIndex {
  /** Every device of the instance, as it is now. */
  devices: () => readonly RegisteredDevice[]
  /** `basic` instances have no such call. */
  edition: 'basic' | 'standard'
  /** Calls a second of the account; 0: no limit. */
  perSecond: number
}

/** No devices; standard edition, one call a second. */
export const emptyIndex = (): DeviceIndex => ({ devices: () => [], edition: 'standard', perSecond: 1 })

const SQL_AT_MOST = 400
const CONDITIONS_AT_MOST = 5
const ROWS_AT_MOST = 50
const OFFSET_AT_MOST = 500
const FIELDS: Readonly<Record<string, (device: RegisteredDevice) => string>> = {
  status: device => device.status,
  product_id: device => device.productId,
  device_id: device => device.deviceId,
}

type Test = (device: RegisteredDevice) => boolean

/** AND binds stronger than OR; no brackets. Null: not understood. */
function conditionsOf(text: string): Test | null {
  const alternatives = text.split(/\s+or\s+/i).map(part => part.split(/\s+and\s+/i))
  if (alternatives.flat().length > CONDITIONS_AT_MOST) return null
  const tests: Test[][] = []
  for (const all of alternatives) {
    const row: Test[] = []
    for (const condition of all) {
      const [, name = '', operator, value] = /^\s*(\w+)\s*(=|!=)\s*'([^']*)'\s*$/.exec(condition) ?? []
      const field = FIELDS[name]
      if (!field || value === undefined) return null
      row.push(device => (field(device) === value) === (operator === '='))
    }
    tests.push(row)
  }
  return device => tests.some(all => all.every(test => test(device)))
}

const refused = (message: string) => ({
  status: 400,
  body: { error_code: 'IOTDA.014110', error_msg: message },
})

/** The flexible search. https://support.huaweicloud.com/intl/en-us/api-iothub/SearchDevices.html */
export function searchRoute(index: DeviceIndex, now: () => number): Route {
  let last = Number.NEGATIVE_INFINITY
  return {
    method: 'POST',
    path: '/v5/iot/:project/search/query-devices',
    operation: 'SearchDevices',
    handle: call => {
      if (index.edition === 'basic')
        return {
          status: 403,
          body: { error_code: 'IOTDA.000020', error_msg: 'Not supported by the basic edition.' },
        }
      const at = now()
      if (index.perSecond > 0 && at - last < 1_000 / index.perSecond)
        return {
          status: 429,
          body: { error_code: 'IOTDA.000111', error_msg: 'The request is too frequent.' },
        }
      last = at
      const { sql } = JSON.parse(call.body || '{}') as { sql?: unknown }
      if (typeof sql !== 'string' || sql.length === 0 || sql.length > SQL_AT_MOST)
        return refused('The sql is invalid.')
      const [, fields = '', where, limit] =
        /^\s*select\s+(.+?)\s+from\s+device(?:\s+where\s+(.+?))?(?:\s+limit\s+([\d,\s]+))?\s*$/i.exec(sql) ??
        []
      const test = where === undefined ? () => true : conditionsOf(where)
      if (fields === '' || test === null) return refused('The sql is not supported.')
      const found = index.devices().filter(test)
      if (/^count\((\*|1)\)$/i.test(fields)) return { status: 200, body: { count: found.length } }
      const [offset, rows] = (limit ?? '10').includes(',')
        ? (limit ?? '').split(',').map(Number)
        : [0, Number(limit ?? 10)]
      if ((offset ?? 0) > OFFSET_AT_MOST || (rows ?? 0) > ROWS_AT_MOST)
        return refused('The limit is out of range.')
      const shown = found.slice(offset, (offset ?? 0) + (rows ?? 10))
      return {
        status: 200,
        body: {
          devices: shown.map(d => ({ device_id: d.deviceId, product_id: d.productId, status: d.status })),
        },
      }
    },
  }
}
