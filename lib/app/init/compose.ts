import { type Answers, CAS, DNS_SERVICES, devicesOf, directoryOf } from './questions.ts'

/** What a look at the answers found besides. */
export interface Found {
  /** How the instance wants to be asked, where it was found out. */
  readonly signing: 'standard' | 'derived' | null
}

const SEAL_KEY = { aws: 'awssm:iotda-cert/seal-key', functiongraph: 'env:SEAL_KEY' } as const

function storeOf({ where, region, project }: Answers): object {
  if (where === 'aws') return { type: 's3', sealKey: SEAL_KEY.aws }
  if (where === 'here') return { type: 'file', path: './state' }
  return { type: 'csms', credentials: 'cn', region, projectId: project, sealKey: SEAL_KEY.functiongraph }
}

function credentialsOf({ where }: Answers): object {
  if (where === 'functiongraph') return { type: 'functiongraph' }
  const [accessKey, secretKey] =
    where === 'aws'
      ? ['awssm:iotda-cert/ak', 'awssm:iotda-cert/sk']
      : ['env:HUAWEICLOUD_SDK_AK', 'env:HUAWEICLOUD_SDK_SK']
  return { type: 'huaweicloud', accessKey, secretKey }
}

/** The settings as a text; no secret is in it. The person has agreed to the terms of the CA. */
export function settingsText(answers: Answers, { signing }: Found): string {
  const { domain, endpoint, region, project, instance, devices, tell, email, dns, ca } = answers
  const source = Object.hasOwn(CAS, ca) ? ca : 'ca'
  const profiles = devicesOf(devices)
  const settings = {
    $schema: './node_modules/iotda-cert/settings.schema.json',
    version: 1,
    targets: [
      {
        name: domain.slice(0, 64),
        domain,
        credentials: 'cn',
        instance: {
          region,
          ...(project ? { projectId: project } : {}),
          ...(instance ? { instanceId: instance } : {}),
          endpoint: endpoint.replace(/\/$/, ''),
          ...(signing ? { signing } : {}),
        },
        certificate: 'iot',
        ...(profiles.length > 0 ? { profiles } : {}),
      },
    ],
    certificates: { iot: { names: [domain], source } },
    sources: {
      [source]: {
        type: 'acme',
        directory: directoryOf(ca),
        email,
        termsOfServiceAgreed: true,
        solver: 'dns',
      },
    },
    solvers: { dns: { type: dns, ...DNS_SERVICES[dns] } },
    credentials: { cn: credentialsOf(answers) },
    store: storeOf(answers),
    ...(tell === 'none' ? {} : { notifiers: [{ type: 'webhook', format: tell, url: 'env:ALERT_URL' }] }),
  }
  return `${JSON.stringify(settings, null, 2)}\n`
}

/** What to do with them next, in order. */
export function nextCommands(file: string): readonly string[] {
  const named = /^[\w./-]+$/.test(file) ? file : `'${file.replaceAll("'", "'\\''")}'`
  return ['doctor', 'plan', 'rotate'].map(command => `iotda-cert ${command} --config ${named}`)
}
