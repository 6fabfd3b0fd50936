/** A wire tap in front of a real name server: logs its messages and plays faults; operations `rfc2136.Query`, `rfc2136.Update`. */
import { createSocket } from 'node:dgram'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault, Faults, LoggedCall } from '../../kit/faults.ts'
import type { Served } from '../../kit/http.ts'

export interface TapOptions {
  readonly faults: Faults
  /** Port of the real server on 127.0.0.1. */
  readonly port: number
}

const HOST = '127.0.0.1'
const OPCODE_UPDATE = 5
const SERVFAIL = 2

/** Null: the connection breaks. */
type Reply = Buffer | null
type Ask = (message: Buffer) => Promise<Buffer>

const opcodeOf = (message: Buffer): number => (message.readUInt16BE(2) >> 11) & 15

/** The request sent back as an answer without a signature, with the response code of the fault. */
const plainAnswer = (message: Buffer, status: number): Buffer => {
  const answer = Buffer.from(message.subarray(0, 12))
  const rcode = status >= 500 ? SERVFAIL : status
  answer.writeUInt16BE(0x8000 | (opcodeOf(message) << 11) | rcode, 2)
  for (const at of [4, 6, 8, 10]) answer.writeUInt16BE(0, at)
  return answer
}

/** A fault's status is a response code; from 500 on it is SERVFAIL. The log has the response code as the status. */
async function perform(message: Buffer, transport: string, faults: Faults, ask: Ask): Promise<Reply> {
  const operation = `rfc2136.${opcodeOf(message) === OPCODE_UPDATE ? 'Update' : 'Query'}`
  const { logged, fault } = faults.arrive({
    operation,
    method: transport,
    path: '',
    body: message.toString('hex'),
  })
  if (fault?.delayMs) await sleep(fault.delayMs)
  if (fault?.drop === 'before') return null
  const answer = await answerOf(message, fault, ask)
  if (fault?.drop === 'after') return null
  ;(logged as LoggedCall).status = answer.readUInt16BE(2) & 15
  return answer
}

const answerOf = async (message: Buffer, fault: Fault | null, ask: Ask): Promise<Buffer> => {
  if (fault?.status !== undefined && !fault.after) return plainAnswer(message, fault.status)
  const real = await ask(message)
  return fault?.status === undefined ? real : plainAnswer(message, fault.status)
}

const framed = (message: Buffer): Buffer => {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(message.length)
  return Buffer.concat([length, message])
}

/** Calls back with each whole message of a TCP connection. */
function readFrames(socket: Socket, onMessage: (message: Buffer) => void): void {
  let rest = Buffer.alloc(0)
  socket.on('error', () => {})
  socket.on('data', chunk => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
      const end = 2 + rest.readUInt16BE(0)
      onMessage(rest.subarray(2, end))
      rest = rest.subarray(end)
    }
  })
}

const askOverTcp =
  (port: number): Ask =>
  message =>
    new Promise((resolve, reject) => {
      const socket = connect(port, HOST, () => socket.write(framed(message)))
      socket.once('error', reject)
      readFrames(socket, answer => {
        resolve(answer)
        socket.destroy()
      })
    })

const listenTcp = async ({ faults, port }: TapOptions) => {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    readFrames(socket, async message => {
      const reply = await perform(message, 'TCP', faults, askOverTcp(port)).catch(() => null)
      if (reply) socket.write(framed(reply))
      else socket.destroy()
    })
  })
  await new Promise<void>(resolve => server.listen(0, HOST, resolve))
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    await new Promise(resolve => server.close(resolve))
  }
  return { port: (server.address() as AddressInfo).port, close }
}

/** Answers over UDP are cut to 512 bytes and marked as truncated when they are longer. */
const listenUdp = (options: TapOptions, port: number): Promise<() => Promise<void>> =>
  new Promise((resolve, reject) => {
    const socket = createSocket('udp4')
    socket.once('error', reject)
    socket.on('message', async (message, from) => {
      const reply = await perform(message, 'UDP', options.faults, askOverTcp(options.port)).catch(() => null)
      if (!reply) return
      const cut = Buffer.from(reply.subarray(0, 12))
      cut.writeUInt16BE(reply.readUInt16BE(2) | 0x0200, 2)
      for (const at of [4, 6, 8, 10]) cut.writeUInt16BE(0, at)
      socket.send(reply.length > 512 ? cut : reply, from.port, from.address)
    })
    socket.bind(port, HOST, () => resolve(() => new Promise(done => socket.close(done))))
  })

/** Starts the tap; its `port` takes TCP and UDP. */
export async function createTap(options: TapOptions): Promise<Served> {
  for (let attempt = 1; ; attempt += 1) {
    const tcp = await listenTcp(options)
    try {
      const closeUdp = await listenUdp(options, tcp.port)
      let closed: Promise<unknown> | null = null
      const dispose = async (): Promise<void> => {
        closed ??= Promise.all([closeUdp(), tcp.close()])
        await closed
      }
      return { url: `dns://${HOST}:${tcp.port}`, port: tcp.port, dispose }
    } catch (error) {
      await tcp.close()
      if (attempt === 20) throw error
    }
  }
}
