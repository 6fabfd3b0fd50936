import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { RotationError } from '../../lib/base/rotation-error.ts'

/**
 * Runs a program of the deployment, which stands beside this one and has options of its own. It is told of Ctrl-C by the
 * terminal, and ends by itself.
 * @returns its exit code
 */
export function runProgram(cloud: string, args: readonly string[]): Promise<number> {
  // This code is loaded from dist/chunks/.
  const program = fileURLToPath(new URL(`../deploy/${cloud}.mjs`, import.meta.url))
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: 'inherit' })
    child.once('error', cause =>
      reject(new RotationError('internal', `${program} cannot be run`, { cause, retry: 'never' })),
    )
    const wait = (): void => {}
    process.on('SIGINT', wait)
    child.once('close', code => {
      process.off('SIGINT', wait)
      resolve(code ?? 1)
    })
  })
}
