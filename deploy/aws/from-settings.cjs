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

/** The text of the first of the files that is there; null: none is. It may begin with a byte order mark. */
function firstOf(files) {
  const file = files.map(it => resolve(ROOT, it)).find(it => existsSync(it))
  return file === undefined ? null : readFileSync(file, 'utf8').replace(/^\uFEFF/, '')
}

const isElsewhere = place => /^(s3:\/\/|awssm:)/.test(place ?? '')
/** Settings themselves, where others write the name of a file or service. */
const isInline = place => /^\s*\{/.test(place ?? '')

/** Where the settings stand for the function; a file is taken along in the environment. */
function read(stage) {
  const place = process.env.IOTDA_CERT_CONFIG
  const named = process.env.IOTDA_CERT_SETTINGS
  if (place?.startsWith('csms:'))
    throw new Error(`IOTDA_CERT_CONFIG is ${place}: a function on AWS reads s3://bucket/key or awssm:NAME`)
  if (isElsewhere(place) && !named)
    throw new Error(`IOTDA_CERT_CONFIG is ${place}: IOTDA_CERT_SETTINGS must name a copy of it, for the role`)
  if (isInline(place) && !named) return { text: place, config: null }
  const own = place && !isElsewhere(place) && !isInline(place) ? [place] : []
  const files = named ? [named] : own.length > 0 ? own : [`settings.${stage}.json`, 'settings.json']
  const text = firstOf(files)
  if (text === null) throw new Error(`there are no settings: write ${files.join(' or ')} (see README)`)
  return { text, config: isElsewhere(place) ? place : null }
}

function parse(text) {
  let settings
  try {
    settings = JSON.parse(text)
  } catch {
    throw new Error('the settings are no valid JSON')
  }
  if (typeof settings === 'object' && settings !== null && !Array.isArray(settings)) return settings
  throw new Error('the settings are no object: they begin with { and end with }')
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

/** The environment of the function has no keys of Huawei Cloud. */
function refuseKeyless(settings, namesOf) {
  const [secret] = namesOf('csms', settings)
  if (secret !== undefined)
    throw new Error(
      `the settings refer to csms:${secret}, which a function on AWS has no keys for: write awssm:NAME`,
    )
  const { credentials = {} } = settings
  const keyless = Object.keys(credentials).find(name => (credentials[name].accessKey ?? null) === null)
  if (keyless !== undefined)
    throw new Error(
      `credentials.${keyless} has no keys, and a function on AWS is given none: write accessKey and secretKey as awssm:NAME`,
    )
}

function refuse(settings, namesOf) {
  refuseReferences(settings, namesOf)
  const { type } = settings.store ?? { type: 'file' }
  if (type === 'file') throw new Error('store.type "file" is not for a function: use s3 or secretsmanager')
  if (type === 'csms')
    throw new Error('store.type "csms" has no lock, and Lambda may run two at once: use s3 or secretsmanager')
}

/** Where the watchdog's own settings stand, if there are any. */
function readWatch(stage) {
  const place = process.env.IOTDA_CERT_WATCH
  const named = process.env.IOTDA_CERT_WATCH_SETTINGS
  if (isInline(place) && !named) return { settings: parse(place), config: null }
  const own = place && !isElsewhere(place) && !isInline(place) ? [place] : []
  const files = named ? [named] : own.length > 0 ? own : [`watch.${stage}.json`, 'watch.json']
  const text = firstOf(files)
  if (text === null && (named || own.length > 0))
    throw new Error(`${named ? 'IOTDA_CERT_WATCH_SETTINGS' : 'IOTDA_CERT_WATCH'}: there is no ${files[0]}`)
  const settings = text === null ? null : parse(text)
  if (isElsewhere(place)) {
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
  // Another cloud's store, or one with keys of its own, would need keys that may write the rotator's state.
  const isOurs = ['s3', 'secretsmanager'].includes(place.type) && (place.accessKeyId ?? null) === null
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
    refuseKeyless(settings, namesOf)
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
    statements: [LOG, ...(await awsWatchPolicy(own, config, region)).Statement],
  }
}

/** What Lambda has not by itself is in the zip only where the settings that it was packaged with want it. */
async function refuseIncomplete(settings, watchSettings) {
  const { missingFrom } = await import('../optional-packages.mjs')
  const { esm } = JSON.parse(readFileSync(join(OUT, 'meta.json'), 'utf8'))
  const missingOf = it => missingFrom(esm.inputs, it ?? {}, { onLambda: true })
  const [name] = [...missingOf(settings), ...missingOf(watchSettings)]
  if (name === undefined) return
  const variable = missingOf(settings).includes(name) ? 'IOTDA_CERT_SETTINGS' : 'IOTDA_CERT_WATCH_SETTINGS'
  throw new Error(`the zip is without ${name}, which the settings want: ${variable}=FILE npm run package`)
}

/** The stack's bucket is where the stack is. */
function refuseRegion({ type, bucket, endpoint, region }, stack) {
  if (type !== 's3' || endpoint || region === undefined || region === stack) return
  throw new Error(
    `store.region is ${region}, and the bucket ${bucket} is made with everything else in ${stack}: leave store.region out, or deploy with --region ${region}`,
  )
}

async function fromSettings({ options, resolveVariable }) {
  const permissions = join(OUT, 'deploy', 'permissions.mjs')
  if (!existsSync(permissions)) throw new Error('there is no build: npm run package')
  const { permissionsForDeployment } = await import(pathToFileURL(permissions).href)
  const { awsPolicy, checkSettings, namesOf } = permissionsForDeployment
  const stage = options.stage ?? 'dev'
  const { text, config } = read(stage)
  const settings = parse(text)
  refuse(settings, namesOf)
  await checkSettings(text)
  refuseKeyless(settings, namesOf)
  const inline = JSON.stringify(settings)
  if (config === null && Buffer.byteLength(inline) > INLINE_AT_MOST)
    throw new Error(
      `the settings have ${Buffer.byteLength(inline)} bytes, and an environment takes ${INLINE_AT_MOST}: put them into S3 and set IOTDA_CERT_CONFIG=s3://bucket/key`,
    )
  await refuseIncomplete(settings, readWatch(stage).settings)
  const region = await resolveVariable('self:provider.region')
  const { type, bucket, endpoint } = settings.store
  refuseRegion(settings.store, region)
  return {
    statements: (await awsPolicy(settings, config, region)).Statement,
    hasBucket: String(type === 's3' && !endpoint),
    bucket: bucket ?? 'none',
    environment: { IOTDA_CERT_CONFIG: config ?? inline },
    watch: await watching(stage, settings, permissionsForDeployment, region),
    artifact: join(OUT, 'iotda-cert-lambda.zip'),
  }
}

/** What is refused is a mistake of whoever deploys: it is told without the place in this file. */
module.exports = given =>
  fromSettings(given).catch(error => {
    throw Object.assign(error, { stack: `${error.name}: ${error.message}` })
  })
