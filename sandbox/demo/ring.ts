import { createDeviceEndpoint } from '../device-endpoint.ts'
import { createIotda } from '../iotda/iotda.ts'
import type { SandboxSettings } from '../sandbox.ts'
import { describe, type Place, type Stage } from './stage.ts'

const DAY_MS = 86_400_000
const NAMES = ['canary', 'plant-1', 'plant-2'] as const

type Member = Place & { readonly name: string; readonly instanceId: string }

/** What is new to devices reaches one plant first; the others get it when a person has looked. */
export async function ring(stage: Stage): Promise<boolean> {
  const members = await Promise.all(NAMES.map((name, i) => openMember(stage, name, i)))
  const { sandbox, say } = stage
  const served = () => Promise.all(members.map(member => stage.served(member)))
  const show = (all: Awaited<ReturnType<typeof served>>): void => {
    for (const [i, leaf] of all.entries()) say(`  ${NAMES[i]?.padEnd(8)} ${describe(leaf)}`)
  }
  await stage.configure(settings => inRings(settings, members))
  // They are looked after from now on, by certificates with a common name.
  await stage.ask('rotate')
  await stage.configure(settings => {
    inRings(settings, members)
    for (const name of NAMES) settings.certificates[name].renewBefore = '60d'
  })
  sandbox.ca.options.commonName = false
  const before = await served()
  say('\nThree plants have a custom domain each, and all three are to be renewed:\n')
  show(before)
  say(`\nFrom today the CA leaves the common name out of its certificates. Nobody knows what old devices make of that,
so the settings have two rings: canary first, and the rest a day later if all is well.`)
  await stage.iotdaCert('rotate')
  const first = await served()
  const changed = (now: typeof before): readonly boolean[] =>
    now.map((it, i) => it.fingerprint256 !== before[i]?.fingerprint256)
  say('')
  show(first)
  say('\nOnly canary has the new kind. The other two have theirs at hand, and wait. Where does it stand?')
  await stage.iotdaCert('rollout')
  const { kinds } = await stage.ask('rollout')
  say(
    '\nA person has looked at the devices of canary: they are all there. No need to wait for the day to end:',
  )
  const id = String(kinds[0]?.kind)
  await stage.iotdaCert('rollout', 'approve', id, '--ring', 'rest', '--why', 'canary is fine')
  const code = await stage.iotdaCert('rotate')
  const last = await served()
  const isDone = changed(last).every(Boolean)
  say('')
  show(last)
  say(`\n${isDone ? 'All three have the new certificate.' : 'NOT all have the new certificate.'}`)
  return code === 0 && isDone && changed(first).join() === 'true,false,false'
}

async function openMember({ sandbox, atEnd }: Stage, name: string, i: number): Promise<Member> {
  const { faults, accessKeys, ca } = sandbox
  const { projectId, region } = sandbox.settings().targets[0].instance
  const instanceId = `${String(i).padStart(8, '0')}-2222-3333-4444-555555555555`
  const domain = `${name}.example.com`
  const iotda = await createIotda({ faults, projectId, region, instanceId, keys: accessKeys })
  const device = await createDeviceEndpoint({ iotda })
  const { certPem, keyPem } = await ca.issue([domain], {
    notBefore: new Date(Date.now() - 35 * DAY_MS),
    notAfter: new Date(Date.now() + 55 * DAY_MS),
    keyType: 'ec-256',
  })
  iotda.createConfiguration(domain, iotda.upload(certPem, keyPem))
  atEnd(() => Promise.all([device.dispose(), iotda.dispose()]))
  return { name, instanceId, domain, iotda, device }
}

function inRings(settings: SandboxSettings, members: readonly Member[]): void {
  const [target] = settings.targets
  const certificate = settings.certificates.iot
  settings.targets = members.map(({ name, domain, iotda, device, instanceId }) => ({
    ...target,
    ...{ name, domain, certificate: name },
    instance: { ...target.instance, instanceId, endpoint: iotda.url },
    probe: { ...target.probe, port: device.port, addresses: [...device.addresses] },
  }))
  settings.certificates = Object.fromEntries(
    members.map(({ name, domain }) => [name, { ...certificate, names: [domain], ari: false }]),
  )
  settings.rollout = {
    rings: [
      { name: 'first', targets: ['canary'], soak: '24h' },
      { name: 'rest', targets: ['*'] },
    ],
  }
}
