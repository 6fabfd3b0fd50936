import { readFile } from 'node:fs/promises'

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

/** What the settings want that a bundle, by esbuild's list of its inputs, has not, nor its platform. */
export const missingFrom = (inputs, settings, { onLambda = false } = {}) =>
  lackedBy(inputs)
    .filter(it => wants(settings, it) && !(onLambda && it.isOnLambda))
    .map(({ name }) => name)
