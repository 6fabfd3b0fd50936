import { existsSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { Command } from 'commander'
import { RotationError } from '../../lib/base/rotation-error.ts'
import { visible } from '../../lib/base/visible.ts'
import { commands } from '../commands.ts'

type Flags = Readonly<Record<string, string | boolean | undefined>>

const OPTIONS = {
  domain: ['--domain <name>', 'custom domain of the devices'],
  endpoint: ['--endpoint <url>', 'application access address, https://NAME'],
  region: ['--region <region>', 'e.g. cn-north-4'],
  project: ['--project-id <id>', 'default: HUAWEICLOUD_SDK_PROJECT_ID'],
  instance: ['--instance-id <id>', 'the instance'],
  dns: ['--dns <service>', 'huaweicloud, route53, cloudflare, alidns or tencentcloud'],
  devices: ['--devices <presets>', 'what the devices run, joined by commas, e.g. esp-idf'],
  where: ['--where <place>', 'here, aws or functiongraph'],
  tell: ['--tell <channel>', 'none, json, slack, dingtalk, feishu, wecom or msteams'],
  email: ['--email <address>', 'for the CA'],
  ca: ['--ca <ca>', 'letsencrypt, letsencrypt-staging, or the URL of an ACME directory'],
} as const

const refused = (message: string, hint: string): RotationError =>
  new RotationError('usage', message, { retry: 'never', hint })

/** A person at a terminal; Ctrl-C and the end of input end the questions. */
function person() {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const ask = (text: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const left = (): void =>
        reject(refused('nothing was written: the questions were ended', 'Begin again.'))
      terminal.once('close', left)
      terminal.question(text, answer => {
        terminal.off('close', left)
        resolve(answer)
      })
    })
  return { ask, close: () => terminal.close() }
}

async function write(file: string, text: string, mayReplace: boolean): Promise<void> {
  const put = async (): Promise<void> => {
    if (!mayReplace) return writeFile(file, text, { flag: 'wx' })
    // The old file stays whole until the new one is.
    await writeFile(`${file}.new`, text)
    await rename(`${file}.new`, file)
  }
  await put().catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'EEXIST'
      ? refused(`${file} is there already: nothing was written`, 'Give another file with --output.')
      : refused(`${file} cannot be written (${error.code})`, 'Give a file in a folder that is there.')
  })
}

async function init(flags: Flags): Promise<void> {
  const { askSettings, nextCommands } = await commands.init()
  const file = String(flags.output)
  const someone = process.stdin.isTTY && process.stderr.isTTY ? person() : null
  try {
    const isThere = existsSync(file)
    if (isThere && someone === null) await write(file, '', false)
    const mayReplace =
      isThere && someone !== null && /^y(es)?$/i.test((await someone.ask(`Replace ${file}? [y/N]: `)).trim())
    if (isThere && !mayReplace) await write(file, '', false)
    const named = Object.entries(OPTIONS).map(([key, [option]]) => {
      const name = option
        .slice(2)
        .split(' ')[0]
        ?.replace(/-(\w)/g, (_, letter) => letter.toUpperCase())
      return [key, flags[name ?? '']] as const
    })
    const text = await askSettings({
      given: Object.fromEntries(named.filter(([, value]) => value !== undefined)),
      ask: someone?.ask ?? null,
      say: line => void process.stderr.write(`${visible(line)}\n`),
      isAgreed: flags.agreeTerms === true,
      isBold: flags.anyway === true,
    })
    await write(file, text, mayReplace)
    const next = nextCommands(file).map(command => `  ${command}\n`)
    process.stdout.write(`${text}\n${file} is written. Next:\n${next.join('')}`)
  } finally {
    someone?.close()
  }
}

/** `iotda-cert init`: asks what the settings need, and writes them. */
export function initCommand(cli: Command): void {
  const command = cli.command('init').description('ask for the settings, look at each answer, and write them')
  for (const [option, description] of Object.values(OPTIONS)) command.option(option, description)
  command
    .option('-o, --output <file>', 'the file to write', 'settings.json')
    .option('--agree-terms', 'you agree to the terms of the CA')
    .option('--anyway', 'go on although something cannot be reached or is not as expected')
    .addHelpText(
      'after',
      '\nExample:\n  iotda-cert init\n  iotda-cert init --domain iot.example.com --endpoint https://NAME --region cn-north-4 --dns route53 --email ops@example.com --agree-terms',
    )
    .exitOverride()
    .action(init)
}
