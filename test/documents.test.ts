/** Every Markdown page: its links lead somewhere, its settings load, its commands exist, and it is short. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { drivers, load, sample } from './config/sample.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const tracked = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.md'], {
  cwd: ROOT,
  encoding: 'utf8',
})
const PAGES = tracked
  .split('\n')
  .filter(path => path !== '' && !path.startsWith('test/') && existsSync(join(ROOT, path)))
const textOf = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
const withoutCode = (text: string): string => text.replace(/```[\s\S]*?```/g, '').replace(/`[^`\n]*`/g, '')

/** As GitHub makes anchors of headings. */
const anchorsOf = (path: string): readonly string[] =>
  [...textOf(path).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  )

describe('links', () => {
  test.each(PAGES)('%s', path => {
    const dead = [...withoutCode(textOf(path)).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = '']) => {
      if (/^(https?|mailto):/.test(link)) return []
      const [file = '', anchor] = link.split('#')
      const target = file === '' ? path : normalize(join(dirname(path), file))
      if (!existsSync(join(ROOT, target))) return [link]
      return anchor === undefined || anchorsOf(target).includes(anchor) ? [] : [link]
    })
    expect(dead).toEqual([])
  })
})

/** Settings in a page: a whole file, or members of one. */
const snippets = PAGES.flatMap(path =>
  [...textOf(path).matchAll(/```json\n([\s\S]*?)```/g)].map(([, text = '']) => ({ path, text: text.trim() })),
).filter(({ path }) => path.startsWith('docs/') || path.startsWith('README'))
const SECTIONS = [
  'targets',
  'certificates',
  'sources',
  'solvers',
  'credentials',
  'store',
  'notifiers',
  'rollout',
  'schedule',
  'statusPage',
  'heartbeat',
  'metrics',
]

test.each(snippets)('settings of $path: $text', async ({ text }) => {
  const given = JSON.parse(text.startsWith('{') ? text : `{${text}}`)
  // What the watchdog is told has targets of another kind, with tests of its own (test/config).
  if (given.targets?.some((target: object) => 'host' in target)) return expect(given.version).toBe(1)
  const merged: Record<string, unknown> = { ...sample() }
  for (const [key, value] of Object.entries(given)) {
    if (SECTIONS.includes(key) || key === 'version' || key === '$schema') merged[key] = value
    else merged.targets = [{ ...sample().targets[0], [key]: value }]
  }
  if (given.rollout)
    merged.targets = ['factory-1', 'eu-1'].map((name, i) => ({
      ...sample().targets[0],
      name,
      instance: {
        ...sample().targets[0].instance,
        instanceId: `i-${i}`,
        endpoint: `https://${name}.example.com`,
      },
    }))
  const env = new Proxy({} as Record<string, string>, {
    get: (_, name) => (String(name).endsWith('URL') ? 'https://example.com/x' : `${'x'.repeat(43)}=`),
  })
  const mistakes = await load(merged, env).then(
    () => [],
    (error: Error) =>
      error.message
        .split('\n')
        .filter(line => !/cannot be read|no such file|trustedRoots|file:/.test(line))
        .slice(1),
  )
  expect(mistakes).toEqual([])
  expect(drivers).toBeDefined()
})

/** What `--help` of the built command says. */
const help = new Map<string, string>()
const helpOf = (words: readonly string[]): string => {
  const key = words.join(' ')
  const known =
    help.get(key) ??
    execFileSync(process.execPath, [join(ROOT, 'dist/cli.mjs'), ...words, '--help'], { encoding: 'utf8' })
  help.set(key, known)
  return known
}

/** What stands in a page as code: fenced, indented, or between backquotes. */
const codeIn = (text: string): readonly string[] => [
  ...[...text.matchAll(/```[a-z]*\n([\s\S]*?)```/g)].flatMap(([, block = '']) =>
    block.replace(/\\\n\s*/g, ' ').split('\n'),
  ),
  ...[...text.matchAll(/^ {4}(.*)$/gm)].map(([, line = '']) => line),
  ...[...text.replace(/```[\s\S]*?```/g, '').matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span),
]

const namesIn = (text: string): readonly string[] =>
  [...(text.split('Commands:')[1]?.split('\n\n')[0] ?? '').matchAll(/^ {2}([a-z]+)/gm)].flatMap(
    ([, name = '']) => (name === 'help' ? [] : [name]),
  )
/** The options that a help says, as they are written: `--config`, `-c`. */
const optionsIn = (text: string): ReadonlySet<string> =>
  new Set(
    [...text.matchAll(/^ {2}(-[-\w, ]*)/gm)].flatMap(
      ([, names = '']) => names.match(/--?[a-zA-Z][\w-]*/g) ?? [],
    ),
  )

/** What is wrong with a command as one types it, without the program's name; null when it exists with its options. */
function mistakeIn(words: readonly string[]): string | null {
  const [name = '', second = ''] = words
  if (name === '--help' || name === '--version') return null
  if (!namesIn(helpOf([])).includes(name)) return `no command ${name}`
  const below = namesIn(helpOf([name]))
  // Alone it is what `rollout show` is.
  const alone = name === 'rollout' && (second === '' || second.startsWith('-')) ? [name, 'show'] : [name]
  const own = below.includes(second) ? [name, second] : alone
  if (below.length > 0 && second !== '' && !second.startsWith('-') && own.length === 1)
    return `no command ${name} ${second}`
  const known = optionsIn(helpOf(own))
  const unknown = words.flatMap(word => /^--?[a-zA-Z][\w-]*/.exec(word) ?? []).filter(it => !known.has(it))
  return unknown.length > 0 ? `${own.join(' ')} has no ${unknown.join(', ')}` : null
}

const PROGRAM =
  /(?:^|[\s($"'])(?:iotda-cert|node dist\/cli\.mjs) (--?[a-z][\w-]*|[a-z][\w-]*)((?: [^|;)&>]*)?)/g
/** Between backquotes a command may stand without the program's name: `rotate --force`. */
const SHORT =
  /^(plan|rotate|status|rollback|hold|resume|revoke|probe|account|doctor|permissions|rollout|watch|init|deploy|drill) ((?:[a-z]+ )?--[^|;)&>]*)/

const wordsOf = (name: string, rest: string): readonly string[] => {
  const unquoted = rest.replaceAll(/'[^']*'|"[^"]*"/g, 'TEXT')
  return [name, ...unquoted.split(/\s+/).filter(Boolean)]
}

const shown = PAGES.filter(path => path !== 'CHANGELOG.md').flatMap(path =>
  codeIn(textOf(path)).flatMap(line => {
    const full = [...line.matchAll(PROGRAM)].map(([, name = '', rest = '']) => wordsOf(name, rest))
    const [, name = '', rest = ''] = SHORT.exec(line) ?? []
    return [...full, ...(name ? [wordsOf(name, rest)] : [])].map(words => ({ path, words }))
  }),
)

test('every command that a page shows exists, with exactly its options', () => {
  expect(shown.length).toBeGreaterThan(100)
  const wrong = shown.flatMap(({ path, words }) => {
    const mistake = mistakeIn(words)
    return mistake === null ? [] : [`${path}: ${words.join(' ')}: ${mistake}`]
  })
  expect(wrong).toEqual([])
})

test('docs/commands.md has every command', () => {
  const page = textOf('docs/commands.md')
  const all = namesIn(helpOf([])).flatMap(name => {
    const below = namesIn(helpOf([name])).filter(it => it !== 'show')
    return below.length > 0 ? below.map(it => `${name} ${it}`) : [name]
  })
  expect(all.length).toBeGreaterThan(15)
  expect(all.filter(it => !new RegExp(`\`${it}[ \`]`).test(page))).toEqual([])
})

test.each([
  ['xyz --config settings.json', 'no command xyz'],
  ['rotate --forc', 'rotate has no --forc'],
  ['status --force', 'status has no --force'],
  ['rollout freeze', 'no command rollout freeze'],
  ['rollout --why x', 'rollout show has no --why'],
  ['rotate -t factory-1 --force', null],
  ['deploy aws --settings settings.json --dry-run', null],
])('iotda-cert %s: %s', (line, mistake) => {
  expect(mistakeIn(line.split(' '))).toBe(mistake)
})

describe('short', () => {
  const REFERENCES = ['RUNBOOK.md', 'docs/zh-CN/operating.md', 'CHANGELOG.md', 'docs/settings.md']
  /** A Chinese character counts as half a word. */
  const wordsIn = (text: string): number => {
    const han = text.match(/\p{Script=Han}/gu)?.length ?? 0
    return (
      Math.ceil(han / 2) +
      text
        .replaceAll(/\p{Script=Han}/gu, ' ')
        .split(/\s+/)
        .filter(Boolean).length
    )
  }
  test.each(PAGES.filter(path => !REFERENCES.includes(path) && !path.startsWith('bench/')))('%s', path => {
    expect(wordsIn(textOf(path))).toBeLessThanOrEqual(path.startsWith('README') ? 900 : 1_500)
  })
})

/** Pages that are there in both languages; the runbook's sections are compared by test/runbook.test.ts. */
const TWINS = [
  ['README.md', 'README.zh-CN.md'],
  ['docs/alerts-and-metrics.md', 'docs/zh-CN/alerts.md'],
  ['docs/limits.md', 'docs/zh-CN/limits.md'],
  ['docs/quick-start-huawei-cloud.md', 'docs/zh-CN/quick-start.md'],
  ['docs/three-in-the-morning.md', 'docs/zh-CN/three-in-the-morning.md'],
  ['RUNBOOK.md', 'docs/zh-CN/operating.md'],
] as const

test('every Chinese page has an English one', () => {
  const chinese = PAGES.filter(path => /(^|\/)zh-CN\/|\.zh-CN\.md$/.test(path))
  expect(TWINS.map(([, it]) => it).toSorted()).toEqual(chinese.toSorted())
})

describe.each(TWINS)('%s and %s', (...paths) => {
  const [english, chinese] = paths.map(textOf)

  test('have the same sections, in the same order', () => {
    const levelsOf = (text = '') => withoutCode(text).match(/^#+(?= )/gm)
    expect(levelsOf(chinese)).toEqual(levelsOf(english))
  })

  test('show the same settings, but for the language of messages', () => {
    const settingsOf = (text = '') =>
      [...text.matchAll(/```json\n([\s\S]*?)```/g)].map(([, json = '']) =>
        JSON.parse(json, (key, value) => (key === 'language' ? undefined : value)),
      )
    expect(settingsOf(chinese)).toEqual(settingsOf(english))
  })

  test('name the same codes in the first column of their tables', () => {
    const rowsOf = (text = '') =>
      [...text.matchAll(/^\|([^|]*)\|/gm)]
        .map(([, cell = '']) => cell.match(/`[^`]+`/g)?.join(' ') ?? '')
        .filter(Boolean)
    // Tables that are written by npm run schema, or are long, stand in English alone.
    const [few, many] = [rowsOf(chinese), rowsOf(english)]
    expect(few.filter(row => !many.includes(row))).toEqual([])
    if (paths[0].includes('three')) expect(few).toEqual(many)
  })
})

test('the two READMEs show the same commands', () => {
  const [english, chinese] = ['README.md', 'README.zh-CN.md'].map(textOf)
  const commandsOf = (text = '') => text.match(/^(?: {4})?(?:npm|npx|node) .+$/gm)
  expect(commandsOf(chinese)).toEqual(commandsOf(english))
})
