import { type ParseArgsConfig, parseArgs } from 'node:util'
import { asRotationError, RotationError } from '../lib/base/rotation-error.ts'
import { visible } from '../lib/base/visible.ts'

/** What the programs of `iotda-cert deploy` have in common: options, and how a mistake is told. */

export const usage = (message: string): RotationError =>
  new RotationError('usage', message, { retry: 'never', hint: '--help lists the options.' })

/** An option, or else what a variable says. @throws RotationError `usage` */
export function need(flag: string | undefined, option: string, ...variables: readonly string[]): string {
  const value = flag || variables.map(it => process.env[it]).find(Boolean)
  if (value) return value
  throw usage(`${option} is not given${variables.length === 0 ? '' : `, nor is ${variables.join(' or ')}`}`)
}

const AGAIN = 'Run it again: what is right already is left alone.'

/** Runs one program with the arguments of this process; its exit code: 1 failed, 2 usage or settings. */
export async function runProgram<Options extends NonNullable<ParseArgsConfig['options']>>(
  options: Options,
  help: string,
  program: (flags: ReturnType<typeof parseArgs<{ options: Options }>>['values']) => Promise<number>,
): Promise<void> {
  try {
    const { values } = parseArgs({ options, args: process.argv.slice(2), strict: true })
    if ((values as { readonly help?: boolean }).help) process.stdout.write(help)
    else process.exitCode = await program(values)
  } catch (thrown) {
    const isUsage = (thrown as { code?: string }).code?.startsWith('ERR_PARSE_ARGS') === true
    const error = isUsage ? usage((thrown as Error).message) : asRotationError(thrown)
    const hint = error.hint ?? (error.retry === 'never' ? null : AGAIN)
    const said = error.message.split('\n').map(visible).join('\n')
    process.stderr.write(`error  ${error.code}: ${said}\n${hint ? `hint   ${hint}\n` : ''}`)
    process.exitCode = error.code === 'usage' || error.code === 'settings-invalid' ? 2 : 1
  }
}
