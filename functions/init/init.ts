import { existsSync } from 'node:fs'
import { chmod, constants, copyFile, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { askSettings, askTarget, nextSteps, settingsIn } from '../../lib/app/init/init.ts'
import { RotationError } from '../../lib/base/rotation-error.ts'
import { visible } from '../../lib/base/visible.ts'

/** What the command was given. */
export interface InitFlags {
  /** The answers by the key of their question. */
  readonly given: Readonly<Record<string, string>>
  /** Null: nobody named one. */
  readonly output: string | null
  /** Settings to add a target to; null: new ones are written. */
  readonly from: string | null
  readonly isAgreed: boolean
  readonly isBold: boolean
}

type Person = ReturnType<typeof person>

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
  const agrees = async (text: string): Promise<boolean> =>
    /^y(es)?$/i.test((await ask(`${text} [y/N]: `)).trim())
  return { ask, agrees, close: () => terminal.close() }
}

const isThereAlready = (file: string): RotationError =>
  refused(`${file} is there already: nothing was written`, 'Give another file with --output.')

/**
 * The old file stays whole until the new one is, and both are settings that load. `before`: what the file must still
 * say; null: it must not be there.
 */
async function write(file: string, text: string, before: string | null): Promise<void> {
  const draft = `${file}.${process.pid}.new`
  try {
    // Settings hold no secret by themselves, but who may read them was decided by a person.
    await writeFile(draft, text, { flag: 'wx' })
    if (before !== null) await chmod(draft, (await stat(file)).mode & 0o777)
    await settingsIn(draft, dirname(draft))
    if (before === null) await copyFile(draft, file, constants.COPYFILE_EXCL)
    else if ((await readFile(file, 'utf8')) !== before)
      throw refused(`${file} was changed meanwhile: nothing was written`, 'Begin again.')
    else await rename(draft, file)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (error instanceof RotationError) throw error
    throw code === 'EEXIST'
      ? isThereAlready(file)
      : refused(`${file} cannot be written (${code})`, 'Give a file in a folder that is there.')
  } finally {
    await rm(draft, { force: true })
  }
}

/** What stands in a file that may be replaced; null: there is none. @throws RotationError `usage` when it must stay */
async function replaced(file: string, someone: Person | null): Promise<string | null> {
  if (!existsSync(file)) return null
  if (someone && (await someone.agrees(`Replace ${file}?`))) return readFile(file, 'utf8')
  throw isThereAlready(file)
}

const askedOf = ({ given, isAgreed, isBold }: InitFlags, someone: Person | null) => ({
  ...{ given, isAgreed, isBold, ask: someone?.ask ?? null },
  say: (line: string) => void process.stderr.write(`${visible(line)}\n`),
})

async function writeNew(flags: InitFlags, someone: Person | null): Promise<void> {
  const file = flags.output ?? 'settings.json'
  const before = await replaced(file, someone)
  const text = await askSettings(askedOf(flags, someone))
  await write(file, text, before)
  process.stdout.write(`${text}\n${file} is written. ${nextText(text, file)}`)
}

async function addTarget(from: string, flags: InitFlags, someone: Person | null): Promise<void> {
  const source = await realpath(from).catch(() => {
    throw refused(`there is no file ${from}`, 'Give the settings file that a target is to be added to.')
  })
  const output = flags.output ?? from
  const isSame = existsSync(output) && (await realpath(output)) === source
  // Naming the file twice is what a script says instead of yes.
  if (isSame && flags.output === null && someone === null)
    throw refused(
      `there is no terminal to ask at: may ${from} be changed?`,
      `Say so with --output ${from}, or name another file.`,
    )
  const settings = await settingsIn(from, '.')
  const text = await readFile(from, 'utf8')
  const before = isSame ? text : await replaced(output, someone)
  const added = await askTarget(text, settings, askedOf(flags, someone))
  for (const line of added.additions) process.stdout.write(`+ ${visible(line)}\n`)
  if (isSame && someone && !(await someone.agrees(`Add this to ${from}?`)))
    throw refused('nothing was written', 'Begin again.')
  await write(isSame ? source : output, added.text, before)
  process.stdout.write(`\n${output} is written. ${nextText(added.text, output)}`)
}

function nextText(text: string, file: string): string {
  const { needs, commands } = nextSteps(text, file)
  const before = needs.length > 0 ? `It needs:\n${needs.map(it => `  ${it}\n`).join('')}` : ''
  return `${before}Next:\n${commands.map(it => `  ${it}\n`).join('')}`
}

/** Asks what the settings need, and writes them. @throws RotationError `usage`; then nothing was written */
export async function init(flags: InitFlags): Promise<void> {
  const someone = process.stdin.isTTY && process.stderr.isTTY ? person() : null
  try {
    await (flags.from === null ? writeNew(flags, someone) : addTarget(flags.from, flags, someone))
  } finally {
    someone?.close()
  }
}
