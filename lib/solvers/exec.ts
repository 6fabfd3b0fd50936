import { spawn } from 'node:child_process'
import * as v from 'valibot'
import { durationField, propagationField, secretField } from '../base/fields.ts'
import { RotationError } from '../base/rotation-error.ts'
import type { Secret } from '../base/secret.ts'
import { stopped } from '../base/stopped.ts'
import { abortAfter, formatDuration } from '../base/time.ts'
import { type DriverContext, defineSolver, type Run } from '../contracts.ts'
import { bareName, checkName } from '../dns/name.ts'
import { excerpt } from '../http/service.ts'
import { inTurn } from './shared/turns.ts'

const settings = v.strictObject({
  /**
   * A program, by its path or found in /usr/local/bin, /usr/bin or /bin; no shell reads it. @example
   * "./dns.sh"
   */
  command: v.pipe(v.string('must be a program'), v.minLength(1, 'must be a program, not empty')),
  /** Arguments before `present` or `cleanup`. */
  args: v.optional(v.array(v.string('must be a text')), []),
  /** The program's environment besides PATH, by reference: nothing else is handed on. */
  environment: v.optional(
    v.record(v.pipe(v.string(), v.regex(/^\w+$/, 'must be a name')), secretField()),
    {},
  ),
  /** How long one call may take; then the program and its children are killed. */
  timeout: v.optional(durationField(), '2m'),
  /** How the value is awaited before the CA is told. */
  propagation: propagationField(),
})
type Settings = v.InferOutput<typeof settings>

type Method = 'present' | 'cleanup'

const PATH = '/usr/local/bin:/usr/bin:/bin'
const MAX_STDERR = 4096

interface Ended {
  readonly exitCode: number | null
  readonly signal: string | null
  readonly stderr: string
}

const environmentOf = (given: Readonly<Record<string, Secret>>): Record<string, string> => ({
  PATH,
  ...Object.fromEntries(Object.entries(given).map(([name, value]) => [name, value.reveal()])),
})

/** Runs the program to its end; an aborted signal kills it with all its children. */
const runProgram = (
  { command, environment }: Settings,
  args: readonly string[],
  signal: AbortSignal,
): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: environmentOf(environment),
      stdio: ['ignore', 'ignore', 'pipe'],
      // A group of its own, so that its children can be killed with it.
      detached: true,
    })
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (stderr.length < MAX_STDERR) stderr += text
    })
    const kill = (): void => {
      // Somebody who left the group may still hold it.
      child.stderr.destroy()
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
      } catch {
        // It has ended meanwhile.
      }
    }
    signal.addEventListener('abort', kill, { once: true })
    child.once('error', reject)
    child.once('close', (exitCode, killedBy) => {
      signal.removeEventListener('abort', kill)
      resolve({ exitCode, signal: killedBy, stderr })
    })
  })

const notStarted = (call: string, cause: NodeJS.ErrnoException): RotationError =>
  new RotationError('settings-invalid', `${call} could not be started (${cause.code ?? cause.message})`, {
    cause,
    retry: 'never',
    hint: 'Check that command of the solver is there and executable; it is not looked for in your PATH.',
  })

const tooLong = (what: string, limitMs: number): RotationError =>
  new RotationError('unavailable', `${what} took longer than ${formatDuration(limitMs)} and was killed`, {
    hint: 'Find out what the program waits for, or set a longer timeout of the solver.',
  })

const requireSuccess = (what: string, ended: Ended, secrets: readonly string[]): void => {
  const { exitCode, signal, stderr } = ended
  if (exitCode === 0) return
  const how = exitCode === null ? `was ended by ${signal}` : `ended with exit code ${exitCode}`
  const said = excerpt(stderr.trim().split('\n')[0] ?? '', secrets)
  throw new RotationError('service-refused', `${what} ${how}${said === '' ? '' : `: ${said}`}`, {
    hint: 'The program says on its standard error what is wrong.',
  })
}

type Call = (method: Method, fqdn: string, value: string, run: Run) => Promise<void>

const createCall = (config: Settings, driver: string): Call => {
  const { command, args, environment, timeout } = config
  const secrets = Object.values(environment).map(it => it.reveal())
  return async (method, fqdn, value, run) => {
    const what = `${driver}: ${command} ${method} for ${fqdn}`
    if (run.signal.aborted) throw stopped(run, what)
    const { signal, clear } = abortAfter(timeout, run.signal)
    try {
      const ended = await runProgram(config, [...args, method, fqdn, value], signal).catch(cause => {
        throw notStarted(what, cause)
      })
      if (ended.exitCode !== 0 && run.signal.aborted) throw stopped(run, what)
      if (ended.exitCode !== 0 && signal.aborted) throw tooLong(what, timeout)
      requireSuccess(what, ended, secrets)
    } finally {
      clear()
    }
  }
}

const create = (config: Settings, context: DriverContext) => {
  const { command, propagation } = config
  const driver = `solver ${context.name} (exec)`
  const call = createCall(config, driver)
  const queued: Call = async (method, fqdn, value, run) => {
    checkName(fqdn, driver)
    const what = `${driver}: ${command} ${method} for ${fqdn}`
    await inTurn(`exec ${command} ${bareName(fqdn)}`, what, run, () => call(method, fqdn, value, run))
  }
  return {
    propagation,
    prepare: async (fqdn: string, run: Run): Promise<null> => {
      checkName(fqdn, driver)
      if (run.signal.aborted) throw stopped(run, `${driver}: ${command}`)
      return null
    },
    present: (fqdn: string, value: string, run: Run): Promise<void> => queued('present', fqdn, value, run),
    cleanUp: (fqdn: string, value: string, run: Run): Promise<void> => queued('cleanup', fqdn, value, run),
  }
}

/**
 * A program of one's own, called as lego's exec does: `<command> [args] present|cleanup <fqdn> <value>`; exit code
 * 0 is success. It must keep the values of others and succeed when there is nothing to do. Only for settings that
 * stand in a local file: whoever can change the settings can run any program. Nothing can be asked of a program
 * without changing something, so `prepare` checks the name alone.
 * https://go-acme.github.io/lego/dns/exec/
 * @throws RotationError `service-refused` (exit code), `unavailable` (time-out), `settings-invalid` (cannot be
 *   started), `out-of-time`
 */
export default defineSolver({
  settings,
  create,
  docs: {
    link: 'https://go-acme.github.io/lego/dns/exec/',
    says: 'a program of yours, called as lego calls it: `command`; `args`, `environment`, `timeout`',
  },
})
