import { type ConversionConfig, type JsonSchema, toJsonSchema } from '@valibot/to-json-schema'
import type { GenericSchema } from 'valibot'
import { settingsShape } from '../lib/config/settings.ts'
import type { Driver } from '../lib/contracts.ts'
import { notifiers } from '../lib/notifiers/index.ts'
import { solvers } from '../lib/solvers/index.ts'
import { sources } from '../lib/sources/index.ts'
import { stores } from '../lib/stores/index.ts'
import { meaningOf } from './meaning.ts'
import { settingsReference } from './settings-reference.ts'

/** What the settings are, for editors and readers: made from what the loader checks with, and what drivers say. */

type AnyDriver = Pick<Driver<GenericSchema, never, unknown>, 'settings' | 'docs'>
type Registry = Readonly<Record<string, () => Promise<{ readonly default: unknown }>>>

const driversIn = (registry: Registry): Promise<readonly (readonly [type: string, driver: AnyDriver])[]> =>
  Promise.all(
    Object.entries(registry).map(
      async ([type, load]) => [type, (await load()).default as AnyDriver] as const,
    ),
  )

// --- settings.schema.json ----------------------------------------------------------------------------------

/** A schema with what the page of settings says beyond it: `x-kind`, in words, of a text. */
type Spoken = JsonSchema & { readonly 'x-kind'?: string }

/** What a settings file holds, so no transformed types; checks that JSON Schema cannot say are left to the loader. */
const CONVERSION: ConversionConfig = {
  typeMode: 'input',
  errorMode: 'ignore',
  overrideSchema: ({ valibotSchema, jsonSchema }) => {
    const { type, wrapped, message } = valibotSchema as {
      type: string
      wrapped?: { type: string }
      message?: unknown
    }
    const { default: fallback } = valibotSchema as { default?: unknown }
    const said = meaningOf(valibotSchema)
    const meaning = said && {
      description: said.says,
      ...(said.example !== null && { examples: [JSON.parse(said.example)] }),
    }
    // Settings of a later version: the default and nothing else.
    if (type === 'optional' && wrapped?.type === 'custom')
      return { const: fallback, default: fallback, ...meaning } as JsonSchema
    const kind = type === 'string' && typeof message === 'string' ? /^must be (.*)/.exec(message)?.[1] : null
    return { ...jsonSchema, ...(kind && { 'x-kind': kind }), ...meaning } as Spoken
  },
}

const convert = (schema: GenericSchema): JsonSchema => {
  const { $schema: _, ...json } = toJsonSchema(schema, CONVERSION)
  return json
}

/** One of the drivers of a section, told apart by `type`; `extra` is what the section adds to each. */
async function oneOf(
  registry: Registry,
  extra: Readonly<Record<string, JsonSchema>> = {},
): Promise<JsonSchema> {
  const kinds = (await driversIn(registry)).map(([type, { settings }]): JsonSchema => {
    const own = convert(settings)
    if (own.type !== 'object') throw new Error(`the settings of ${type} are no object`)
    return {
      ...own,
      properties: { type: { const: type }, ...own.properties, ...extra },
      required: ['type', ...(own.required ?? [])],
    }
  })
  return { oneOf: kinds }
}

async function schemaOfAll(): Promise<JsonSchema> {
  const shape = convert(settingsShape)
  const properties = shape.properties as Record<string, JsonSchema>
  const { sealKey, sealKeyPrevious } = (properties.store?.properties ?? {}) as Record<string, JsonSchema>
  if (!sealKey || !sealKeyPrevious) throw new Error('the store has no seal keys')
  const entry = (properties.notifiers?.items ?? {}) as JsonSchema
  const { type: _, ...everyNotifier } = (entry.properties ?? {}) as Record<string, JsonSchema>
  if (Object.keys(everyNotifier).length !== 4) throw new Error('notifiers have other keys in common')
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Settings of iotda-cert',
    ...shape,
    properties: {
      ...properties,
      sources: { ...properties.sources, additionalProperties: await oneOf(sources) },
      solvers: { ...properties.solvers, additionalProperties: await oneOf(solvers) },
      store: {
        ...(await oneOf(stores, { sealKey, sealKeyPrevious })),
        description: properties.store?.description ?? '',
        default: properties.store?.default ?? null,
      },
      notifiers: { ...properties.notifiers, items: await oneOf(notifiers, everyNotifier) },
    },
  }
}

/** The text of `settings.schema.json`. */
export const schemaText = async (): Promise<string> =>
  `${JSON.stringify(await schemaOfAll(), (key, value) => (key === 'x-kind' ? undefined : value), 2)}\n`

// --- documents ----------------------------------------------------------------------------------------------

const TABLES: Readonly<Record<string, readonly [heading: string, Registry]>> = {
  sources: ['`sources.*.type`', sources],
  solvers: ['`solvers.*.type`', solvers],
  stores: ['`store.type`', stores],
  notifiers: ['`notifiers[].type`', notifiers],
}

async function tableOf([heading, registry]: readonly [string, Registry]): Promise<string> {
  const rows = (await driversIn(registry)).map(([type, { docs }]) => {
    if (!docs) throw new Error(`${type} says nothing of itself`)
    return `| [\`${type}\`](${docs.link}) | ${docs.says} |`
  })
  return [`| ${heading} | |`, '|-|-|', ...rows].join('\n')
}

/** Pages, each with what is written into it between its markers. */
const PAGES: Readonly<Record<string, readonly string[]>> = {
  'docs/settings.md': ['stores', 'settings'],
  'docs/sources-and-dns.md': ['sources', 'solvers'],
  'docs/alerts-and-metrics.md': ['notifiers'],
}

/** The pages that have something from here, by their path in the repository. */
export const pagesWritten = Object.keys(PAGES)

const written = async (name: string): Promise<string> => {
  const table = TABLES[name]
  return table ? tableOf(table) : settingsReference(await schemaOfAll())
}

/** A page with its tables, between their markers, as they are now. */
export async function withTables(path: string, page: string): Promise<string> {
  let text = page
  for (const name of PAGES[path] ?? []) {
    const [begin, end] = [`<!-- ${name}: by npm run schema -->\n`, `\n<!-- end of ${name} -->`]
    const from = text.indexOf(begin)
    const to = text.indexOf(end)
    if (from < 0 || to < from) throw new Error(`${path} has no place for the table of ${name}`)
    text = text.slice(0, from + begin.length) + (await written(name)) + text.slice(to)
  }
  return text
}
