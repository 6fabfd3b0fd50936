const { existsSync, readFileSync } = require('node:fs')
const { join, resolve } = require('node:path')
const { pathToFileURL } = require('node:url')
const dashboard = require('./dashboard.cjs')
const fanOutOf = require('./fan-out.cjs')

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
  if (text === null)
    throw new Error(`there are no settings: write ${files.join(' or ')} (see docs/settings.md)`)
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

/** References that nothing can follow in a function on AWS: one line for each kind, with what to write instead. */
function deadReferences(settings, namesOf) {
  const env = namesOf('env', settings).filter(name => !name.startsWith('AWS_'))
  const file = namesOf('file', settings)
  const csms = namesOf('csms', settings)
  const { credentials } = settings
  const keyless = Object.entries(credentials ?? {}).filter(([, it]) => (it?.accessKey ?? null) === null)
  return [
    ...(env.length > 0
      ? [
          `the settings refer to env:${env.join(', env:')}: put the value into Secrets Manager and write awssm:NAME`,
        ]
      : []),
    ...(file.length > 0
      ? [
          `the settings refer to file:${file.join(', file:')}: a function has no such file. Write the text itself, or awssm:NAME for a secret`,
        ]
      : []),
    // The environment of the function has no keys of Huawei Cloud.
    ...(csms.length > 0
      ? [
          `the settings refer to csms:${csms.join(', csms:')}, which a function on AWS has no keys for: write awssm:NAME`,
        ]
      : []),
    ...keyless.map(
      ([name]) =>
        `credentials.${name} has no keys, and a function on AWS is given none: write accessKey and secretKey as awssm:NAME`,
    ),
  ]
}

/** All that is wrong at once: nobody mends one thing to hear of the next. */
function refuseAll(mistakes) {
  if (mistakes.length > 0) throw new Error(mistakes.join('\n'))
}

function refuse(settings, namesOf) {
  const { type } = settings.store ?? { type: 'file' }
  refuseAll([
    ...deadReferences(settings, namesOf),
    ...(type === 'file' ? ['store.type "file" is not for a function: use s3 or secretsmanager'] : []),
    ...((settings.schedule?.shards ?? 1) > 1
      ? ['schedule.shards is for FunctionGraph: on Lambda one function hands on by schedule.fanOut']
      : []),
    ...(type === 'csms'
      ? ['store.type "csms" has no lock, and Lambda may run two at once: use s3 or secretsmanager']
      : []),
  ])
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
const ACCOUNT = filledIn('AWS::AccountId')

/** Where the state is unless the settings name a bucket: another one for each stage, account and region. */
const bucketOf = (stage, region) => `iotda-cert-${stage.toLowerCase()}-${ACCOUNT}-${region}`

/** A statement as CloudFormation takes it: what it fills in is marked. */
const withFilledIn = statement => ({
  ...statement,
  Resource: statement.Resource.map(it => (it.includes('${') ? { 'Fn::Sub': it } : it)),
})

const TRACING = {
  Sid: 'Traces',
  Effect: 'Allow',
  Action: ['xray:PutTraceSegments', 'xray:PutTelemetryRecords'],
  Resource: '*',
}
const keyOf = arn => ({
  Sid: 'Key',
  Effect: 'Allow',
  Action: ['kms:Decrypt', 'kms:GenerateDataKey'],
  Resource: arn,
})

/** `a=b,c=d`, as --param tags has them. */
function tagsOf(text) {
  const pairs = (text ?? '').split(',').filter(Boolean)
  const bad = pairs.find(it => !/^[^=]+=/.test(it))
  if (bad !== undefined)
    throw new Error(`--param tags: ${bad} is no NAME=VALUE; several are parted by commas`)
  // A value may hold further ones.
  return Object.fromEntries(pairs.map(it => it.split(/=(.*)/s, 2).map(part => part.trim())))
}

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
async function watching({ stage, region, tracing }, rotator, { awsWatchPolicy, checkWatch, namesOf }) {
  const { settings, config } = readWatch(stage)
  if (settings) {
    refuseAll(deadReferences(settings, namesOf))
    await checkWatch(JSON.stringify(settings))
  }
  const chosen = settings ?? watchOf(rotator)
  if (chosen.targets.length === 0)
    throw new Error(
      'there is nothing to watch (probe.mode is "off" everywhere): write watch.json (see docs/settings.md)',
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
    statements: [
      LOG,
      ...tracing,
      ...(await awsWatchPolicy(own, config, region, ACCOUNT)).Statement.map(withFilledIn),
    ],
  }
}

/** What Lambda has not by itself is in the zip only where the settings that it was packaged with want it. */
async function artifactFor(settings, watchSettings) {
  const { zipFor } = await import('../optional-packages.mjs')
  const of = several => zipFor(OUT, 'lambda', several, { onLambda: true })
  const { zip, missing } = await of([settings, watchSettings ?? {}])
  if (zip !== null) return zip
  const [name] = missing
  const { missing: own } = await of([settings])
  const variable = own.includes(name) ? 'IOTDA_CERT_SETTINGS' : 'IOTDA_CERT_WATCH_SETTINGS'
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
  const inline = JSON.stringify(settings)
  if (config === null && Buffer.byteLength(inline) > INLINE_AT_MOST)
    throw new Error(
      `the settings have ${Buffer.byteLength(inline)} bytes, and an environment takes ${INLINE_AT_MOST}: put them into S3 and set IOTDA_CERT_CONFIG=s3://bucket/key`,
    )
  const artifact = await artifactFor(settings, readWatch(stage).settings)
  const param = name => resolveVariable(`param:${name}, null`)
  const region = await resolveVariable('self:provider.region')
  const { type, endpoint, bucket } = settings.store
  refuseRegion(settings.store, region)
  const isOurs = type === 's3' && !endpoint
  const place = isOurs ? (bucket ?? bucketOf(stage, region)) : 'none'
  const placed = isOurs ? { ...settings, store: { ...settings.store, bucket: place } } : settings
  const key = await param('kmsKeyArn')
  const tracing = (await param('tracing')) === 'Active' ? [TRACING] : []
  const { Statement } = await awsPolicy(placed, config, region, ACCOUNT)
  const fanOut = fanOutOf(settings, {
    concurrency: await param('fanOutConcurrency'),
    reserved: await param('reservedConcurrency'),
  })
  const ofQueue = it => (it.Sid === 'FanOut' ? { ...it, Resource: fanOut.queue } : it)
  return {
    statements: [...Statement.map(withFilledIn).map(ofQueue), ...(key ? [keyOf(key)] : [])],
    stateBucket: isOurs ? modeOf(await param('stateBucket')) : 'none',
    bucket: place.includes('${') ? { 'Fn::Sub': place } : place,
    environment: {
      IOTDA_CERT_CONFIG: config ?? inline,
      ...(isOurs && bucket === undefined ? { IOTDA_CERT_STATE_BUCKET: { 'Fn::Sub': place } } : {}),
      ...fanOut.environment,
    },
    fanOut: fanOut.resources,
    dashboard: dashboard[settings.metrics ?? 'few'],
    tags: tagsOf(await param('tags')),
    watch: await watching(
      { stage, region, tracing: [...tracing, ...(key ? [keyOf(key)] : [])] },
      placed,
      permissionsForDeployment,
    ),
    artifact,
  }
}

const MODES = ['create', 'existing']
function modeOf(given) {
  const mode = given ?? 'create'
  if (MODES.includes(mode)) return mode
  throw new Error(`--param stateBucket: ${mode} is neither ${MODES.join(' nor ')}`)
}

/** What is refused is a mistake of whoever deploys: it is told without the place in this file. */
module.exports = given =>
  fromSettings(given).catch(error => {
    throw Object.assign(error, { stack: `${error.name}: ${error.message}` })
  })
