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
  if (place?.startsWith('csms:'))
    throw new Error(`IOTDA_CERT_CONFIG is ${place}: a function on AWS reads s3://bucket/key or awssm:NAME`)
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

function refuseReferences(settings, namesOf) {
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
}

function refuse(settings, namesOf) {
  refuseReferences(settings, namesOf)
  const { type } = settings.store ?? { type: 'file' }
  if (type === 'file') throw new Error('store.type "file" is not for a function: use s3 or secretsmanager')
}

/** Where the watchdog's own settings stand, if there are any. */
function readWatch(stage) {
  const place = process.env.IOTDA_CERT_WATCH
  const named = process.env.IOTDA_CERT_WATCH_SETTINGS
  const files = (named ? [named] : [`watch.${stage}.json`, 'watch.json']).map(it => resolve(ROOT, it))
  const file = files.find(it => existsSync(it))
  if (named && file === undefined) throw new Error(`IOTDA_CERT_WATCH_SETTINGS: there is no ${named}`)
  const settings = file === undefined ? null : parse(readFileSync(file, 'utf8'))
  if (place && /^(s3:\/\/|awssm:)/.test(place)) {
    if (settings === null)
      throw new Error(
        `IOTDA_CERT_WATCH is ${place}: IOTDA_CERT_WATCH_SETTINGS must name a copy of it, for the role`,
      )
    return { settings, config: place }
  }
  return { settings, config: null }
}

/** What CloudFormation fills in. */
const filledIn = name => `\${${name}}`
// The reference of a topic is its ARN, that of a bucket its name.
const TOPIC = filledIn('AlarmTopic')
const RECORD = filledIn('WatchBucket')

const LOG = {
  Sid: 'Log',
  Effect: 'Allow',
  Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
  Resource: { 'Fn::Sub': `${filledIn('WatchLogGroup.Arn')}:*` },
}

/** The watchdog connects no device, and needs no key of one. */
function withoutCanary(profile) {
  if (typeof profile === 'string') return profile
  const { canary: _, ...own } = profile
  return own
}

/**
 * What the watchdog looks at where nobody says otherwise: a copy of the targets, made now, so that it needs nothing
 * of the rotator later. It tells the topic of the alarms, by the rights of its own role.
 */
function watchOf({ targets, store }) {
  const { sealKey: _, sealKeyPrevious: _p, ...place } = store
  // Another cloud's store would need its keys.
  const isOurs = ['s3', 'secretsmanager'].includes(place.type)
  return {
    version: 1,
    targets: targets
      .filter(({ probe }) => probe?.mode !== 'off')
      .map(({ name, domain, probe = {}, trustedRoots, profiles }) => ({
        name,
        host: probe.host ?? domain,
        sni: domain,
        ...(probe.port ? { port: probe.port } : {}),
        ...(probe.addresses ? { addresses: probe.addresses } : {}),
        ...(trustedRoots ? { roots: trustedRoots } : {}),
        ...(profiles ? { profiles: profiles.map(withoutCanary) } : {}),
      })),
    notifiers: [{ type: 'sns', name: 'alarms', topicArn: TOPIC }],
    store: { type: 's3', bucket: RECORD },
    ...(isOurs ? { rotator: { store: place } } : {}),
  }
}

/** The watchdog's environment and what its role may do, besides its own bucket and the topic of the alarms. */
async function watching(stage, rotator, { awsWatchPolicy, checkWatch, namesOf }, region) {
  const { settings, config } = readWatch(stage)
  if (settings) {
    refuseReferences(settings, namesOf)
    await checkWatch(JSON.stringify(settings))
  }
  const chosen = settings ?? watchOf(rotator)
  if (chosen.targets.length === 0)
    throw new Error(
      'there is nothing to watch (probe.mode is "off" everywhere): write watch.json (see README)',
    )
  // What a person wrote is taken as it is: `${` is no placeholder there.
  const text = JSON.stringify(chosen)
  const inline = settings ? text.replaceAll('${', '${!') : text
  if (config === null && Buffer.byteLength(inline) > INLINE_AT_MOST)
    throw new Error(
      `what the watchdog is told has ${Buffer.byteLength(inline)} bytes, and an environment takes ${INLINE_AT_MOST}: put it into S3 and set IOTDA_CERT_WATCH=s3://bucket/key`,
    )
  const own = settings ?? { ...chosen, store: undefined, notifiers: [] }
  return {
    environment: { IOTDA_CERT_WATCH: config === null ? { 'Fn::Sub': inline } : config },
    statements: [LOG, ...awsWatchPolicy(own, config, region).Statement],
  }
}

module.exports = async ({ options, resolveVariable }) => {
  const permissions = join(OUT, 'deploy', 'permissions.mjs')
  if (!existsSync(permissions)) throw new Error('there is no build: npm run package')
  const { permissionsForDeployment } = await import(pathToFileURL(permissions).href)
  const { awsPolicy, checkSettings, namesOf } = permissionsForDeployment
  const stage = options.stage ?? 'dev'
  const { text, config } = read(stage)
  const settings = parse(text)
  refuse(settings, namesOf)
  await checkSettings(text)
  const inline = JSON.stringify(settings)
  if (config === null && Buffer.byteLength(inline) > INLINE_AT_MOST)
    throw new Error(
      `the settings have ${Buffer.byteLength(inline)} bytes, and an environment takes ${INLINE_AT_MOST}: put them into S3 and set IOTDA_CERT_CONFIG=s3://bucket/key`,
    )
  const region = await resolveVariable('self:provider.region')
  const { type, bucket, endpoint } = settings.store
  return {
    statements: awsPolicy(settings, config, region).Statement,
    hasBucket: String(type === 's3' && !endpoint),
    bucket: bucket ?? 'none',
    environment: { IOTDA_CERT_CONFIG: config ?? inline },
    watch: await watching(stage, settings, permissionsForDeployment, region),
    artifact: join(OUT, 'iotda-cert-lambda.zip'),
  }
}
