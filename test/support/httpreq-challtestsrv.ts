import { createFaults } from '../../sandbox/kit/faults.ts'
import { type Call, type Served, serve } from '../../sandbox/kit/http.ts'
import { createChalltestsrvSolver } from './challtestsrv-solver.ts'
import type { Challtestsrv } from './pebble.ts'

/** Lets a `webhook` solver write to Pebble's test DNS server: httpreq in front, challtestsrv's own API behind. */
export function serveHttpreq(challtestsrv: Challtestsrv): Promise<Served> {
  const solver = createChalltestsrvSolver(challtestsrv)
  const handle = (work: (fqdn: string, value: string) => Promise<void>) => async (call: Call) => {
    const { fqdn, value } = JSON.parse(call.body) as { fqdn: string; value: string }
    await work(fqdn, value)
    return { status: 200 }
  }
  const run = undefined as never
  return serve({
    service: 'httpreq',
    faults: createFaults(),
    routes: [
      {
        method: 'POST',
        path: '/present',
        operation: 'Present',
        handle: handle((fqdn, value) => solver.present(fqdn, value, run)),
      },
      {
        method: 'POST',
        path: '/cleanup',
        operation: 'Cleanup',
        handle: handle((fqdn, value) => solver.cleanUp(fqdn, value, run)),
      },
    ],
  })
}
