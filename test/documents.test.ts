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

test('every command that a page shows exists, with its options', () => {
  const namesIn = (text: string): readonly string[] =>
    [...(text.split('Commands:')[1] ?? '').matchAll(/^ {2}([a-z]+)/gm)].map(([, name = '']) => name)
  const groups = new Map(
    ['rollout', 'account', 'deploy', 'drill'].map(name => [name, namesIn(helpOf([name]))]),
  )
  const shown = PAGES.flatMap(path =>
    codeIn(textOf(path)).flatMap(line =>
      [...line.matchAll(/(?:^|[\s(])(?:iotda-cert|node dist\/cli\.mjs) ([a-z][\w-]*)((?: [^|;)]*)?)/g)].map(
        ([command, name = '', rest = '']) => ({ path, command, name, rest }),
      ),
    ),
  )
  expect(shown.length).toBeGreaterThan(30)
  const names = namesIn(helpOf([]))
  const wrong = shown.flatMap(({ path, command, name, rest }) => {
    if (!names.includes(name)) return [`${path}: ${command}`]
    const second = /^ ([a-z]+)/.exec(rest)?.[1] ?? ''
    const own = groups.get(name)?.includes(second)
      ? [name, second]
      : name === 'rollout'
        ? [name, 'show']
        : [name]
    const options = rest.match(/(?<= )--[a-z-]+/g) ?? []
    return options.filter(option => !helpOf(own).includes(option)).map(it => `${path}: ${command} (${it})`)
  })
  expect(wrong).toEqual([])
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

test('the two READMEs have the same sections and show the same commands', () => {
  const [english, chinese] = ['README.md', 'README.zh-CN.md'].map(textOf)
  const commandsOf = (text = '') => text.match(/^(?: {4})?(?:npm|npx|node) .+$/gm)
  expect(commandsOf(chinese)).toEqual(commandsOf(english))
  expect(chinese?.match(/^## /gm)?.length).toBe(english?.match(/^## /gm)?.length)
})
