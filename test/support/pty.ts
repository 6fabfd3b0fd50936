import { spawn } from 'node:child_process'

/** What is done when the terminal shows something: typed, or the window gets another width. */
export interface Step {
  /** A regular expression of Python, on what was shown since the step before. */
  readonly seen: string
  readonly type?: string
  readonly columns?: number
}

const PTY = `
import os, pty, re, sys, json, fcntl, termios, struct
cmd, steps, columns = json.loads(sys.argv[1])
def resize(fd, columns): fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
pid, fd = pty.fork()
if pid == 0:
    resize(0, columns)
    os.execvp(cmd[0], cmd)
seen = b''
while True:
    try: data = os.read(fd, 4096)
    except OSError: break
    if not data: break
    sys.stdout.buffer.write(data); seen += data
    if steps and re.search(steps[0]['seen'].encode(), seen):
        step = steps.pop(0); seen = b''
        if 'type' in step: os.write(fd, step['type'].encode())
        if 'columns' in step: resize(fd, step['columns'])
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`

/** Runs a command at a pseudo-terminal (of python3); what that showed, and the exit code. */
export const atTerminal = (
  command: readonly string[],
  steps: readonly Step[],
  { env = {}, columns = 200 }: { readonly env?: Record<string, string>; readonly columns?: number } = {},
): Promise<{ readonly code: number | null; readonly shown: string }> =>
  new Promise((resolve, reject) => {
    const child = spawn('python3', ['-c', PTY, JSON.stringify([command, steps, columns])], {
      env: { ...process.env, TERM: 'xterm', ...env },
    })
    let shown = ''
    child.stdout.on('data', chunk => {
      shown += chunk
    })
    child.once('error', reject)
    child.once('close', code => resolve({ code, shown }))
  })
