import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The drivers that work by a package of their own, and whether Lambda has it without us. */
const PACKAGES = [
  { section: 'sources', type: 'acm', name: '@aws-sdk/client-acm', isOnLambda: true },
  { section: 'solvers', type: 'route53', name: '@aws-sdk/client-route-53', isOnLambda: true },
  { section: 'notifiers', type: 'smtp', name: 'nodemailer', isOnLambda: false },
]

async function settingsOf(named, usual) {
  const file = named || usual
  const text = await readFile(file, 'utf8').catch(error => {
    if (error.code === 'ENOENT' && !named) return '{}'
    throw new Error(`the settings ${file} cannot be read (${error.code})`)
  })
  try {
    return JSON.parse(text.replace(/^\uFEFF/, '')) ?? {}
  } catch {
    throw new Error(`the settings ${file} are no valid JSON`)
  }
}

const wants = (settings, { section, type }) => {
  const entries = settings[section]
  return (
    typeof entries === 'object' && entries !== null && Object.values(entries).some(it => it?.type === type)
  )
}

/**
 * What esbuild leaves out of each function. Taken in is what the settings want (settings.json, or the file that
 * IOTDA_CERT_SETTINGS names; for the watchdog watch.json, or IOTDA_CERT_WATCH_SETTINGS) and the platform has not.
 * BUNDLE_AWS_SDK=1 takes all in everywhere, 0 nothing of AWS.
 */
export async function leftOut(env) {
  if (env.BUNDLE_AWS_SDK === '1') return { lambda: [], functiongraph: [], watch: [] }
  const rotator = await settingsOf(env.IOTDA_CERT_SETTINGS, 'settings.json')
  const watchdog = await settingsOf(env.IOTDA_CERT_WATCH_SETTINGS, 'watch.json')
  const without = isLeftOut => PACKAGES.filter(isLeftOut).map(({ name }) => name)
  return {
    lambda: without(it => it.isOnLambda || !(wants(rotator, it) || wants(watchdog, it))),
    functiongraph: without(it => (it.isOnLambda && env.BUNDLE_AWS_SDK === '0') || !wants(rotator, it)),
    watch: without(it => !wants(watchdog, it)),
  }
}

/** The packages that a bundle, by esbuild's list of its inputs, has not, with the drivers that want them. */
export const lackedBy = inputs =>
  PACKAGES.filter(({ name }) => !Object.keys(inputs).some(file => file.includes(`node_modules/${name}/`)))

/** What settings want of what a zip lacks, where the platform has it not either. */
export const missingFrom = (lacks, settings, { onLambda = false } = {}) =>
  lacks.filter(it => wants(settings, it) && !(onLambda && it.isOnLambda)).map(({ name }) => name)

/**
 * The zip of `out` for a function of these settings: the lean one, or where they want more the one with everything,
 * which the npm package brings (deploy/prepack.mjs). Without either, `missing` names the packages.
 */
export async function zipFor(out, name, settings, where = {}) {
  const file = `iotda-cert-${name}`
  const lacks = JSON.parse(await readFile(join(out, `${file}.lacks.json`), 'utf8'))
  const missing = [...new Set(settings.flatMap(it => missingFrom(lacks, it, where)))]
  if (missing.length === 0) return { zip: join(out, `${file}.zip`), missing }
  const whole = join(out, 'whole', `${file}.zip`)
  return existsSync(whole) ? { zip: whole, missing: [] } : { zip: null, missing }
}
