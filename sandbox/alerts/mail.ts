import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import { SMTPServer } from 'smtp-server'
import { type AlertService, newAlertService, type TakenMessage } from './service.ts'

export interface MailOptions {
  readonly username: string
  readonly password: string
  readonly tls: { readonly key: string; readonly cert: string }
}

const GREETED = 12
const NO_REQUEST = {
  path: '',
  query: new URLSearchParams(),
  method: '',
  target: '',
  headers: {},
  body: '',
}

/** A mail server that insists on STARTTLS and a password. Its `url` is `smtp://127.0.0.1:PORT`. */
export async function createMail({ username, password, tls }: MailOptions): Promise<AlertService> {
  const mail = newAlertService()
  const failure = (code: number) => Object.assign(new Error('not now'), { responseCode: code })
  const server = new SMTPServer({
    ...tls,
    authMethods: ['PLAIN', 'LOGIN'],
    onAuth: (auth, session, done) => {
      if (!session.secure) mail.complaints.push('the password came in the clear')
      const isRight = auth.username === username && auth.password === password
      done(isRight ? null : new Error('wrong password'), { user: username })
    },
    onMailFrom: (_address, _session, done) => {
      const code = { refused: 550, down: 421, throttled: 451 }[mail.mode as string]
      done(code === undefined ? null : failure(code))
    },
    onData: async (stream, session, done) => {
      const source = await readText(stream)
      try {
        mail.taken.push(messageOf(source, session.envelope.rcptTo.length))
        done()
      } catch (error) {
        mail.complaints.push((error as Error).message)
        done(failure(554))
      }
    },
    logger: false,
    closeTimeout: 50,
    disableReverseLookup: true,
  })
  server.on('error', () => {})
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.server.address() as AddressInfo
  // A client is greeted only after 100 ms, lest it talk first: these have waited already.
  const dial = (): Socket => connect({ port, host: '127.0.0.1', noDelay: true }).on('error', () => {})
  const greeted = Array.from({ length: GREETED }, dial)
  // In front of it, for what no mail server says.
  const sockets = new Set<Socket>()
  const front = createServer({ noDelay: true }, socket => {
    sockets.add(socket.on('error', () => {}))
    mail.requests.push(NO_REQUEST)
    if (mail.mode === 'silent') return
    if (mail.mode === 'garbage') return void socket.end('<html>it works</html>\r\n')
    greeted.push(dial())
    const behind = (greeted.shift() as Socket).on('error', () => socket.destroy())
    socket.pipe(behind).pipe(socket)
  })
  await new Promise<void>(resolve => front.listen(0, '127.0.0.1', resolve))
  mail.url = `smtp://127.0.0.1:${(front.address() as AddressInfo).port}`
  mail.dispose = async () => {
    for (const socket of [...sockets, ...greeted]) socket.destroy()
    await Promise.all([
      new Promise(resolve => front.close(resolve)),
      new Promise<void>(resolve => server.close(() => resolve())),
    ])
  }
  return mail
}

/** Headers unfolded and decoded (RFC 2047), and the text as it was written. */
function messageOf(source: string, recipients: number): TakenMessage {
  const [head = '', ...parts] = source.split('\r\n\r\n')
  const headers = new Map(
    head
      .replaceAll(/\r\n[ \t]+/g, ' ')
      .split('\r\n')
      .map(line => [
        line.slice(0, line.indexOf(':')).toLowerCase(),
        line.slice(line.indexOf(':') + 1).trim(),
      ]),
  )
  if (recipients === 0) throw new Error('nobody is to get it')
  for (const name of ['from', 'to', 'subject', 'date', 'message-id'])
    if (!headers.get(name)) throw new Error(`no ${name} (RFC 5322 section 3.6)`)
  if (headers.get('auto-submitted') !== 'auto-generated')
    throw new Error('not said to be automatic (RFC 3834)')
  const body = parts.join('\r\n\r\n')
  const encoded = /Content-Type: text\/plain[\s\S]*?\r\n\r\n([\s\S]*?)\r\n--/.exec(source)?.[1] ?? body
  const isBase64 = /Content-Type: text\/plain[\s\S]*?Content-Transfer-Encoding: base64/.test(
    source.split('alert.json')[0] ?? '',
  )
  return {
    title: decodeWords(headers.get('subject') ?? ''),
    text: isBase64 ? Buffer.from(encoded, 'base64').toString('utf8') : unquoted(encoded),
    thread: headers.get('references') ?? null,
    resolves: false,
  }
}

const decodeWords = (text: string): string =>
  text
    .replaceAll(/\?=\s+=\?/g, '?==?')
    .replaceAll(/=\?utf-8\?([bq])\?([^?]*)\?=/gi, (_, how: string, word: string) =>
      how.toLowerCase() === 'b'
        ? Buffer.from(word, 'base64').toString('utf8')
        : unquoted(word.replaceAll('_', ' ')),
    )

const unquoted = (text: string): string =>
  Buffer.from(
    text
      .replaceAll(/=\r\n/g, '')
      .replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  ).toString('utf8')
