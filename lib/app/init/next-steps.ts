/** What a person does with settings that were just written. */
export interface NextSteps {
  /** What has to be put where before; never a value. */
  readonly needs: readonly string[]
  /** Commands, in order. */
  readonly commands: readonly string[]
}

const REFERENCE = /"(env|awssm|csms|file):([^"]+)"/g

const PUT: Readonly<Record<string, string>> = {
  env: 'environment variables',
  awssm: 'secrets of AWS Secrets Manager',
  csms: 'secrets of CSMS',
  file: 'files',
}

/** As far as what is next depends on them. */
interface Written {
  readonly store?: { readonly type?: string; readonly region?: string; readonly projectId?: string }
}

interface Place {
  /** What this machine needs besides what the settings refer to. */
  readonly here: readonly string[]
  readonly commands: readonly string[]
}

const SEAL_KEY = 'the seal key is 32 random bytes: openssl rand -base64 32'

const here = (named: string): Place => ({
  here: [],
  commands: [`doctor --config ${named}`, `plan --config ${named}`, `rotate --config ${named}`],
})

const aws = (named: string): Place => ({
  here: [
    SEAL_KEY,
    'on this machine: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION (not for the dry run)',
  ],
  commands: [
    `deploy aws --settings ${named} --region REGION --dry-run`,
    `deploy aws --settings ${named} --region REGION`,
    `doctor --config ${named}`,
  ],
})

function functiongraph(named: string, { store }: Written): Place {
  const deploy = `deploy functiongraph --settings ${named} --region ${store?.region ?? 'REGION'} --project-id ${store?.projectId ?? 'ID'} --agency NAME`
  return {
    here: [
      SEAL_KEY,
      'on this machine: HUAWEICLOUD_SDK_AK, HUAWEICLOUD_SDK_SK',
      'an agency (NAME) for FunctionGraph with the policy that the second command prints',
    ],
    commands: [
      `doctor --config ${named}`,
      `permissions --cloud huawei --config ${named}`,
      `${deploy} --dry-run`,
      deploy,
    ],
  }
}

/** The place is told by the store, as the settings have it. */
const PLACES: Readonly<Record<string, (named: string, written: Written) => Place>> = {
  ...{ s3: aws, secretsmanager: aws, csms: functiongraph },
}

/** What to do with the settings next. `file` is where they stand. */
export function nextSteps(text: string, file: string): NextSteps {
  const written = JSON.parse(text.replace(/^\uFEFF/, '')) as Written
  const named = /^[\w./-]+$/.test(file) ? file : `'${file.replaceAll("'", "'\\''")}'`
  const references = [...text.matchAll(REFERENCE)].map(([, scheme = '', name = '']) => ({ scheme, name }))
  const needs = Object.entries(PUT).flatMap(([scheme, what]) => {
    const names = [...new Set(references.filter(it => it.scheme === scheme).map(it => it.name))]
    return names.length > 0 ? [`${what}: ${names.join(', ')}`] : []
  })
  const place = (PLACES[written.store?.type ?? ''] ?? here)(named, written)
  return {
    needs: [...needs, ...place.here],
    commands: place.commands.map(it => `npx iotda-cert ${it}`),
  }
}
