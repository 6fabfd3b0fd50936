/**
 * The pictures of docs/pictures are made anew, from a real run, the page and the rules, and compared with what is there;
 * `npm run pictures` writes them.
 */
import { execFile } from 'node:child_process'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openChromium } from '../support/chromium.ts'
import { ROOT } from '../support/modules.ts'
import { roomsSvg } from './rooms.ts'
import { BEGAN, settled } from './settled.ts'
import { statusPageSvg } from './status-page.ts'
import { terminalSvg } from './terminal.ts'

const fileOf = (name: string): string => join(ROOT, 'docs', 'pictures', `${name}.svg`)
const architecture = (): Promise<string> => readFile(join(ROOT, 'docs', 'architecture.md'), 'utf8')

/** All that a run says, in the order in which it says it. */
function record(): Promise<string> {
  const startedAt = Date.now()
  // One pipe for both streams, else nobody knows what came first.
  const args = ['-c', `exec "${process.execPath}" dist/sandbox/demo.mjs 2>&1`]
  return new Promise((resolve, reject) => {
    execFile('sh', args, { cwd: ROOT }, (error, text) =>
      error ? reject(error) : resolve(settled(text, startedAt)),
    )
  })
}

describe('made anew, they are what is there (npm run pictures writes them)', () => {
  test('the recording of npm start', async () => {
    const made = terminalSvg('npm start', `$ npm start\n${await record()}`)
    await expect(made).toMatchFileSnapshot(fileOf('npm-start'))
  })

  test.each(['en', 'zh'] as const)('the status page, %s', async language => {
    await expect(statusPageSvg(language)).toMatchFileSnapshot(fileOf(`status-page-${language}`))
  })

  test('the rooms', async () => {
    await expect(roomsSvg(await architecture())).toMatchFileSnapshot(fileOf('rooms'))
  })
})

test('two runs differ in what a run draws by lot and in when it was, and in nothing else', () => {
  const run = (at: string, id: string, leaf: string, ca: string, port: number, took: string) =>
    settled(
      `slot 1: ${id}0002 until ${at.replaceAll(/[-:]/g, '')} (${leaf}…) by Sandbox Root ${ca}, port ${port}\n  ✓ factory-1  obtain  until ${at}${took}\n`,
      Date.parse(at) - 3_000,
    )
  const one = run('2026-11-25T01:31:44Z', '6b063a81a169cb313800', '4b5c32851ceedbfa', 'DADCB8', 4711, '')
  const other = run('2027-01-02T23:59:59Z', '6c0000000000000000ff', '0000000000000000', '000000', 1, '  (2s)')
  expect(one).toBe(other)
  expect(one).toContain(`until ${new Date(BEGAN).toISOString().replace('.000', '')}`)
  expect(settled('slot 1: full', 0)).not.toBe(settled('slot 1: free', 0))
})

test('a room that the architecture does not describe cannot be drawn', async () => {
  const without = (await architecture()).replace(/^ {6}alerts\/ .*\n/m, '')
  expect(() => roomsSvg(without)).toThrow('docs/architecture.md does not describe alerts')
})

describe('in a browser', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await openChromium()
  }, 400_000)
  afterAll(() => browser?.close())

  /** Colours of text whose contrast with the ground is below 4.5:1. Runs in the browser. */
  const PALE = String.raw`(() => {
    const lightness = text => {
      const [r, g, b] = text.match(/[\d.]+/g).map(Number).map(c => {
        const s = c / 255
        return s <= 0.03928 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4
      })
      return 0.2126 * r + 0.7152 * g + 0.0722 * b
    }
    const ground = lightness(getComputedStyle(document.querySelector('svg > rect')).fill)
    const fills = [...document.querySelectorAll('text, tspan')].map(it => getComputedStyle(it).fill)
    return [...new Set(fills)].filter(fill => {
      const [a, b] = [lightness(fill), ground]
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5
    })
  })()`

  test.each(['npm-start', 'status-page-en', 'status-page-zh', 'rooms'])(
    '%s: well-formed, small, silent, light and dark',
    async name => {
      expect((await stat(fileOf(name))).size).toBeLessThan(60_000)
      const page = await browser.newPage({ colorScheme: 'light' })
      const noises: string[] = []
      page.on('console', message => noises.push(message.text()))
      page.on('pageerror', error => noises.push(error.message))
      page.on('request', request => noises.push(request.url()))
      await page.goto(`file://${fileOf(name)}`)
      expect(noises).toEqual([`file://${fileOf(name)}`])
      expect(await page.locator('script, parsererror, image').count()).toBe(0)
      expect(await page.locator('svg > title').first().textContent()).not.toBe('')
      const ground = () => page.evaluate('getComputedStyle(document.querySelector("svg > rect")).fill')
      expect(await ground()).toBe('rgb(255, 255, 255)')
      expect(await page.evaluate(PALE)).toEqual([])
      await page.emulateMedia({ colorScheme: 'dark' })
      expect(await ground()).toBe('rgb(16, 18, 22)')
      expect(await page.evaluate(PALE)).toEqual([])
      await page.close()
    },
  )

  test('the recording begins empty, ends with the end, and stands still for who wants no motion', async () => {
    const page = await browser.newPage({ reducedMotion: 'reduce' })
    await page.goto(`file://${fileOf('npm-start')}`)
    const seen = (): Promise<readonly string[]> =>
      page.evaluate(`(() => {
        const cover = document.querySelector('.cover').getBoundingClientRect()
        return [...document.querySelectorAll('.scroll > text')]
          .map(it => ({ text: it.textContent, top: it.getBoundingClientRect().top }))
          .filter(it => it.top >= 44 && it.top < Math.min(cover.top, 44 + 24 * 19))
          .map(it => it.text)
      })()`) as Promise<readonly string[]>
    const end = await seen()
    expect(end.at(-1)).toBe('Now with your own domain: npx iotda-cert init')
    expect(end).toContain('Rotated. The old certificate is the rollback copy in the other slot.')
    await page.emulateMedia({ reducedMotion: 'no-preference' })
    const at = (ms: number) =>
      page.evaluate(`for (const it of document.getAnimations()) { it.pause(); it.currentTime = ${ms} }`)
    await at(0)
    expect(await seen()).toEqual([])
    await at(2_000)
    expect(await seen()).toContain('$ npm start')
    const total = (await page.evaluate(
      'document.getAnimations()[0].effect.getComputedTiming().duration',
    )) as number
    await at(total - 1_000)
    expect(await seen()).toEqual(end)
    await page.close()
  })
})
