import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The folder of the package that a file of a build comes from; null: it is ours. */
const packageOf = input => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1] ?? null

async function noticeOf(folder) {
  const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
  const files = (await readdir(folder)).filter(it => /^(licen[cs]e|copying|notice)\b/i.test(it)).sort()
  const texts = await Promise.all(files.map(it => readFile(join(folder, it), 'utf8')))
  return { title: `${name} ${version} (${license})`, text: texts.map(it => it.trim()).join('\n\n') }
}

/** The licences of what is bundled, by esbuild's inputs: each package once, those with the same text together. */
export async function thirdParty(inputs) {
  const folders = [...new Set(inputs.map(packageOf))].filter(it => it !== null).sort()
  const titles = new Map()
  for (const { title, text } of await Promise.all(folders.map(noticeOf)))
    titles.set(text, [...(titles.get(text) ?? []), title])
  const parts = [...titles].map(([text, those]) => `${those.join('\n')}\n\n${text}\n`)
  return ['What is bundled here of other people, and its licences.\n', ...parts].join(
    `\n${'-'.repeat(80)}\n\n`,
  )
}
