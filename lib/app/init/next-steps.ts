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

/** The place is told by the store, as the settings have it. */
function placeOf(text: string): 'here' | 'aws' | 'functiongraph' {
  const { type } = (JSON.parse(text) as { readonly store?: { readonly type?: string } }).store ?? {}
  return type === 's3' || type === 'secretsmanager' ? 'aws' : type === 'csms' ? 'functiongraph' : 'here'
}

const COMMANDS = {
  here: named => [`doctor --config ${named}`, `plan --config ${named}`, `rotate --config ${named}`],
  aws: named => [
    `deploy aws --settings ${named} --dry-run`,
    `deploy aws --settings ${named}`,
    `doctor --config ${named}`,
  ],
  functiongraph: named => [
    `doctor --config ${named}`,
    `deploy functiongraph --settings ${named} --agency NAME --dry-run`,
    `deploy functiongraph --settings ${named} --agency NAME`,
  ],
} as const satisfies Readonly<Record<string, (named: string) => readonly string[]>>

/** What to do with the settings next. `file` is where they stand. */
export function nextSteps(text: string, file: string): NextSteps {
  const named = /^[\w./-]+$/.test(file) ? file : `'${file.replaceAll("'", "'\\''")}'`
  const references = [...text.matchAll(REFERENCE)].map(([, scheme = '', name = '']) => ({ scheme, name }))
  const needs = Object.entries(PUT).flatMap(([scheme, what]) => {
    const names = [...new Set(references.filter(it => it.scheme === scheme).map(it => it.name))]
    return names.length > 0 ? [`${what}: ${names.join(', ')}`] : []
  })
  const place = placeOf(text)
  if (place !== 'here') needs.push('the seal key is 32 random bytes: openssl rand -base64 32')
  return { needs, commands: COMMANDS[place](named).map(it => `npx iotda-cert ${it}`) }
}
