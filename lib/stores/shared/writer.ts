import { randomBytes } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/** State and start time (fields 3 and 22, proc(5)) of a process; null where there is no such file. */
const procStat = (pid: string): { readonly state: string; readonly start: string } | null => {
  try {
    // The second field is the program's name in parentheses, which may hold anything.
    const [state = '', ...rest] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return { state, start: rest[18] ?? '' }
  } catch {
    return null
  }
}

/** What a file of Linux says; empty where there is none. */
const fromProc = (read: () => string): string => {
  try {
    return read().trim()
  } catch {
    return ''
  }
}

/**
 * This host as long as it runs: on Linux with the PID namespace, since containers may share a host name but not their
 * pids, and the boot, since two hosts on one storage may share even both.
 */
const hostName = (): string => {
  const namespace = fromProc(() => readlinkSync('/proc/self/ns/pid').replace(/\D/g, ''))
  const boot = fromProc(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8))
  return [hostname(), namespace, boot].filter(part => part !== '').join('+')
}

/** A new name for this process as a writer of state: `host/pid/start time/random`. */
export const newWriter = (): string =>
  [hostName(), process.pid, procStat('self')?.start ?? '', randomBytes(6).toString('hex')].join('/')

/**
 * Whether the process behind a writer's name certainly no longer lives: it was on this host, and its pid is free,
 * or on Linux a zombie's or another process's by now. Anything else, e.g. another host, is false.
 */
export const isGoneWriter = (writer: string): boolean => {
  const [host, pid = '', start = ''] = writer.split('/')
  if (host !== hostName() || !/^[1-9]\d*$/.test(pid)) return false
  try {
    process.kill(Number(pid), 0)
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ESRCH') return true
  }
  const now = procStat(pid)
  if (now === null || start === '') return false
  return now.start !== start || now.state === 'Z' || now.state === 'X'
}
