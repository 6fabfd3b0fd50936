import * as v from 'valibot'
import { isReference } from '../../base/fields.ts'
import type { Driver } from '../../contracts.ts'
import { notifiers } from '../../notifiers/index.ts'
import { solvers } from '../../solvers/index.ts'
import type { Place, Question } from './questions.ts'

/**
 * What a driver has to be told, by its own declaration: the settings without a default, and whether each is a secret.
 * A secret is only referred to; its value is never asked for.
 */

/** Settings of one driver as they stand in the file. */
export type DriverSettings = Readonly<Record<string, string | readonly string[]>>

/** A question whose answer is a setting of a driver. */
export interface DriverQuestion extends Question {
  readonly setting: string
  readonly settingOf: (answer: string) => string | readonly string[]
}

type Kind = 'dns' | 'tell'
type Entry = v.GenericSchema & { readonly type: string; readonly wrapped?: Entry; readonly options?: unknown }
type AnyDriver = Pick<Driver<v.GenericSchema, never, unknown>, 'settings' | 'docs'>
type Registry = Readonly<Record<string, () => Promise<{ readonly default: unknown }>>>

const REGISTRIES: Readonly<Record<Kind, Registry>> = { dns: solvers, tell: notifiers }

async function driverOf(kind: Kind, type: string): Promise<AnyDriver> {
  const load = REGISTRIES[kind][type]
  if (!load) throw new Error(`there is no ${kind} driver ${type}`)
  return (await load()).default as AnyDriver
}

const entriesOf = ({ settings }: AnyDriver): Readonly<Record<string, Entry>> =>
  (settings as unknown as { readonly entries: Readonly<Record<string, Entry>> }).entries

/** What an optional entry may hold when it is there. */
const inner = (entry: Entry): Entry => (entry.wrapped ? inner(entry.wrapped) : entry)

const isSecret = (entry: Entry): boolean => {
  const { output } = v.safeParse(entry, 'env:NAME')
  return isReference(output) && output.secret
}

/** Formats of the notifier `webhook`: each is a service that people know by its name. */
async function formats(): Promise<readonly string[]> {
  const { format } = entriesOf(await driverOf('tell', 'webhook'))
  return format ? (inner(format).options as readonly string[]) : []
}

/** Everything that `tell` may be. */
export const channels = async (): Promise<readonly string[]> => [
  'none',
  ...(await formats()),
  ...Object.keys(notifiers).filter(type => type !== 'webhook'),
]

/** The notifier behind a channel, with what the channel itself says of it. */
export async function notifierOf(
  tell: string,
): Promise<{ readonly type: string; readonly own: DriverSettings }> {
  const isFormat = (await formats()).includes(tell)
  return isFormat ? { type: 'webhook', own: { format: tell } } : { type: tell, own: {} }
}

/** Optional, and yet rarely left out. */
const USUAL = ['username', 'password', 'secret']
/** Formats that sign nothing. */
const UNSIGNED = ['slack', 'msteams', 'wecom']
/** On AWS the role has these rights, on the command line the environment has the keys; FunctionGraph gives none. */
const isNeededThere = (name: string, where: Place): boolean =>
  where === 'functiongraph' && ['accessKeyId', 'secretAccessKey'].includes(name)

function isAsked(name: string, entry: Entry, where: Place, own: DriverSettings): boolean {
  if (name === 'credentials' || Object.hasOwn(own, name)) return false
  if (entry.type !== 'optional') return true
  if (name === 'secret' && UNSIGNED.includes(String(own.format))) return false
  return USUAL.includes(name) || isNeededThere(name, where)
}

/** The names that a vendor's own tools give to variables, where they do not begin with the driver's. */
const PREFIXES: Readonly<Record<string, string>> = {
  alidns: 'ALIBABA_CLOUD',
  route53: 'AWS',
  sns: 'AWS',
}

const words = (name: string): string => name.replace(/(?<=[a-z0-9])(?=[A-Z])/g, '_').toUpperCase()

/** Where a secret will stand unless the person says otherwise. */
export function usualReference(kind: Kind, type: string, setting: string, where: Place): string {
  const prefix = kind === 'tell' && type === 'webhook' ? 'ALERT' : (PREFIXES[type] ?? type.toUpperCase())
  const name = `${prefix}_${words(setting)}`
  return where === 'aws' ? `awssm:iotda-cert/${name.toLowerCase().replaceAll('_', '-')}` : `env:${name}`
}

/** What a reference can lead to: a function on AWS has a role for Secrets Manager, and no other keys. */
const SCHEMES: Readonly<Record<Place, readonly string[]>> = {
  here: ['env', 'file', 'csms', 'awssm'],
  aws: ['awssm'],
  functiongraph: ['env', 'csms'],
}

export const referenceMistake =
  (where: Place) =>
  (answer: string): string | null => {
    const schemes = SCHEMES[where]
    return schemes.some(it => answer.startsWith(`${it}:`) && answer.length > it.length + 1)
      ? null
      : `must say where the secret stands, never what it is: ${schemes.map(it => `${it}:${it === 'file' ? 'PATH' : 'NAME'}`).join(', ')}`
  }

function questionOf(
  kind: Kind,
  type: string,
  [setting, entry]: readonly [string, Entry],
  where: Place,
  shownAs: string,
): DriverQuestion {
  const isOptional = entry.type === 'optional' && !isNeededThere(setting, where)
  const isList = inner(entry).type === 'array'
  const settingOf = (answer: string) => (isList ? answer.split(/[\s,]+/).filter(it => it !== '') : answer)
  const byDriver = (answer: string): string | null =>
    v.safeParse(entry, settingOf(answer)).issues?.[0]?.message ?? null
  const mistake = isSecret(entry) ? referenceMistake(where) : byDriver
  const kindOf = isSecret(entry) ? ', where it stands' : isList ? ', joined by commas' : ''
  return {
    ...{ setting, settingOf, key: `${kind}.${setting}`, option: `set ${kind}.${setting}=` },
    text: `${shownAs}: ${setting}${kindOf}${isOptional ? ' (empty: none)' : ''}`,
    preset: isOptional ? '' : isSecret(entry) ? usualReference(kind, type, setting, where) : null,
    mistake: answer => (isOptional && answer === '' ? null : mistake(answer)),
  }
}

/** What a driver has to be asked for, in the order of its declaration; `own` is known already. */
export async function driverQuestions(
  kind: Kind,
  type: string,
  where: Place,
  own: DriverSettings = {},
): Promise<readonly DriverQuestion[]> {
  const entries = Object.entries(entriesOf(await driverOf(kind, type)))
  return entries
    .filter(([name, entry]) => isAsked(name, entry, where, own))
    .map(it => questionOf(kind, type, it, where, String(own.format ?? type)))
}

/** Whether a driver signs with an entry of `credentials`. */
export const takesCredentials = async (kind: Kind, type: string): Promise<boolean> =>
  Object.hasOwn(entriesOf(await driverOf(kind, type)), 'credentials')

/** Where its service is described. */
export const linkOf = async (kind: Kind, type: string): Promise<string> =>
  (await driverOf(kind, type)).docs.link
