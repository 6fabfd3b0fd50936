import { readFile } from 'node:fs/promises'

/** The drivers that work by a package of AWS's SDK: Lambda has it, other places only what is bundled. */
const PACKAGES = [
  { section: 'sources', type: 'acm', name: '@aws-sdk/client-acm' },
  { section: 'solvers', type: 'route53', name: '@aws-sdk/client-route-53' },
]

async function settingsOf({ IOTDA_CERT_SETTINGS: named }) {
  const file = named || 'settings.json'
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

const typesIn = section =>
  typeof section === 'object' && section !== null ? Object.values(section).map(it => it?.type) : []

/**
 * What esbuild leaves out, on Lambda and elsewhere. Elsewhere is taken in what the settings want that
 * IOTDA_CERT_SETTINGS names (or settings.json); BUNDLE_AWS_SDK=1 takes all in everywhere, 0 nothing.
 */
export async function leftOut(env) {
  if (env.BUNDLE_AWS_SDK === '1') return { onLambda: [], elsewhere: [] }
  if (env.BUNDLE_AWS_SDK === '0') return { onLambda: ['@aws-sdk/*'], elsewhere: ['@aws-sdk/*'] }
  const settings = await settingsOf(env)
  const unwanted = PACKAGES.filter(({ section, type }) => !typesIn(settings[section]).includes(type))
  return { onLambda: ['@aws-sdk/*'], elsewhere: unwanted.map(({ name }) => name) }
}

/** What the settings want that a bundle, by esbuild's list of its inputs, has not. */
export const missingFrom = (inputs, settings) =>
  PACKAGES.filter(({ section, type }) => typesIn(settings[section]).includes(type))
    .map(({ name }) => name)
    .filter(name => !Object.keys(inputs).some(file => file.includes(`node_modules/${name}/`)))
