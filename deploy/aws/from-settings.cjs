const { existsSync, readFileSync } = require('node:fs')
const { join, resolve } = require('node:path')
const { pathToFileURL } = require('node:url')

/**
 * What serverless.yml takes from the settings: the role's statements, the state bucket, and the environment.
 * No secret is read here, and none may get into the template: CloudFormation shows it to whoever may look.
 */

const ROOT = resolve(__dirname, '..', '..')
const OUT = resolve(ROOT, process.env.OUTDIR || 'dist')
/** Lambda takes 4 KB of environment in all. */
const INLINE_AT_MOST = 3_500

/** Where the settings stand for the function; a file is taken along in the environment. */
function read(stage) {
  const place = process.env.IOTDA_CERT_CONFIG
  const named = process.env.IOTDA_CERT_SETTINGS
  if (place && /^(s3:\/\/|awssm:)/.test(place)) {
    if (!named)
      throw new Error(
        `IOTDA_CERT_CONFIG is ${place}: IOTDA_CERT_SETTINGS must name a copy of it, for the role`,
      )
    return { text: readFileSync(resolve(ROOT, named), 'utf8'), config: place }
  }
  const files = named ? [named] : [`settings.${stage}.json`, 'settings.json']
  const file = files.map(it => resolve(ROOT, it)).find(it => existsSync(it))
  if (file === undefined) throw new Error(`there are no settings: write ${files.join(' or ')} (see README)`)
  return { text: readFileSync(file, 'utf8'), config: null }
}

function parse(text) {
  try {
    return JSON.parse(text)
  } catch {
    throw new Error('the settings are no valid JSON')
  }
}

function refuse(settings, namesOf) {
  const names = namesOf('env', settings).filter(name => !name.startsWith('AWS_'))
  if (names.length > 0)
    throw new Error(
      `the settings refer to env:${names.join(', env:')}: put the value into Secrets Manager and write awssm:NAME`,
    )
  const files = namesOf('file', settings)
  if (files.length > 0)
    throw new Error(
      `the settings refer to file:${files.join(', file:')}: a function has no such file. Write the text itself, or awssm:NAME for a secret`,
    )
  const { type } = settings.store ?? { type: 'file' }
  if (type === 'file') throw new Error('store.type "file" is not for a function: use s3 or secretsmanager')
}

module.exports = async ({ options, resolveVariable }) => {
  const permissions = join(OUT, 'deploy', 'permissions.mjs')
  if (!existsSync(permissions)) throw new Error('there is no build: npm run package')
  const { permissionsForDeployment } = await import(pathToFileURL(permissions).href)
  const { awsPolicy, namesOf } = permissionsForDeployment
  const { text, config } = read(options.stage ?? 'dev')
  const settings = parse(text)
  refuse(settings, namesOf)
  const inline = JSON.stringify(settings)
  if (config === null && inline.length > INLINE_AT_MOST)
    throw new Error(
      `the settings have ${inline.length} bytes, and an environment takes ${INLINE_AT_MOST}: put them into S3 and set IOTDA_CERT_CONFIG=s3://bucket/key`,
    )
  const region = await resolveVariable('self:provider.region')
  const { type, bucket, endpoint } = settings.store
  return {
    statements: awsPolicy(settings, config, region).Statement,
    hasBucket: String(type === 's3' && !endpoint),
    bucket: bucket ?? 'none',
    environment: { IOTDA_CERT_CONFIG: config ?? inline },
    artifact: join(OUT, 'iotda-cert-lambda.zip'),
  }
}
