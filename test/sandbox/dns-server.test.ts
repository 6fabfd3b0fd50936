import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import packet from 'dns-packet'
import { describe, expect, it } from 'vitest'
import { createDns } from '../../sandbox/dns/server.ts'
import {
  A,
  askTcp,
  askUdp,
  B,
  CHILD,
  failure,
  queryOf,
  R,
  resolverAt,
  sendUdp,
  start,
  texts,
  zones,
} from '../support/sandbox-dns.ts'

describe('transport', () => {
  const big = Array.from({ length: 12 }, (_, i) => `${i}-${'y'.repeat(98)}`)

  it('cuts a UDP answer over 512 bytes, or over what EDNS allows, and gives it whole over TCP', async () => {
    const dns = await start()
    dns.zones.set({ name: 'big.example.com', type: 'TXT', values: big.slice(0, 6) })
    const cut = await askUdp(dns, A, 'big.example.com', 'TXT')
    expect(cut).toMatchObject({ flag_tc: true, answers: [], additionals: [] })
    const whole = await askUdp(dns, A, 'big.example.com', 'TXT', { edns: 1232 })
    expect(whole.flag_tc).toBe(false)
    expect(texts(whole)).toEqual(big.slice(0, 6))
    expect(whole.additionals).toMatchObject([{ type: 'OPT', udpPayloadSize: 1232 }])
    dns.zones.set({ name: 'big.example.com', type: 'TXT', values: big })
    expect((await askUdp(dns, A, 'big.example.com', 'TXT', { edns: 4096 })).flag_tc).toBe(true)
    expect((await askTcp(dns, B, 'big.example.com')).map(texts)).toEqual([big])
  })

  it('makes node:dns come back over TCP', async () => {
    const dns = await start()
    dns.zones.set({ name: 'big.example.com', type: 'TXT', values: big })
    const found = await resolverAt(dns, A).resolveTxt('big.example.com')
    expect(found.map(strings => strings.join('')).sort()).toEqual([...big].sort())
    expect(dns.count({ name: 'big.example.com', transport: 'udp' })).toBe(1)
    expect(dns.count({ name: 'big.example.com', transport: 'tcp' })).toBe(1)
  })

  it('takes several questions over one connection', async () => {
    const dns = await start()
    const replies = await askTcp(dns, A, 'deep.empty.example.com', 'nothing.example.com')
    expect(replies.map(reply => reply.rcode)).toEqual(['NOERROR', 'NXDOMAIN'])
  })

  it('answers garbage with FORMERR, another opcode with NOTIMP, and never answers an answer', async () => {
    const dns = await start()
    const garbage = Buffer.from('1234' + '0100' + '0001' + '000000000000' + 'ff', 'hex')
    expect(packet.decode(await sendUdp(dns, A, garbage))).toMatchObject({ id: 0x1234, rcode: 'FORMERR' })
    const status = queryOf('www.example.com', 'A', {})
    status.writeUInt16BE(2 << 11, 2)
    expect(packet.decode(await sendUdp(dns, A, status))).toMatchObject({ rcode: 'NOTIMP' })
    const response = queryOf('www.example.com', 'A', {})
    response.writeUInt16BE(0x8000, 2)
    const socket = createSocket('udp4')
    const ids: number[] = []
    socket.on('message', answer => ids.push(answer.readUInt16BE(0)))
    socket.send(response, dns.port, A)
    const next = queryOf('www.example.com', 'A', {})
    next.writeUInt16BE(1, 0)
    socket.send(next, dns.port, A)
    await once(socket, 'message')
    socket.close()
    expect(ids).toEqual([1])
  })

  it('listens at one port everywhere and frees it', async () => {
    const dns = await createDns({ zones })
    expect([...dns.addresses].sort()).toEqual([A, B, CHILD])
    await dns.dispose()
    const again = await start({ addresses: [A, B], port: dns.port })
    expect(again.port).toBe(dns.port)
    expect(await resolverAt(again, B).resolve6('www.example.com')).toHaveLength(1)
    await expect(createDns({ zones, addresses: [B], port: dns.port })).rejects.toThrow(/EADDRINUSE/)
  })
})

describe('switches', () => {
  it('make one address silent or failing, and every query is counted', async () => {
    const dns = await start()
    const txt = (address: string, timeoutMs?: number) =>
      failure(resolverAt(dns, address, timeoutMs).resolveTxt('Deep.Empty.example.com'))
    dns.setNode(A, { down: true })
    dns.setNode(B, { servfail: ['TXT', 'CAA'] })
    expect(await txt(A, 100)).toBe('ETIMEOUT')
    expect(await txt(B)).toBe('ESERVFAIL')
    expect(await failure(resolverAt(dns, B).resolve4('www.example.com'))).toBe('none')
    dns.setNode(A, { down: false })
    dns.setNode(B, { servfail: true })
    expect(await txt(A)).toBe('none')
    expect(await failure(resolverAt(dns, B).resolve4('www.example.com'))).toBe('ESERVFAIL')
    expect(dns.count({ address: A, name: 'deep.empty.EXAMPLE.com.', type: 'TXT' })).toBe(2)
    expect(dns.count({ address: B, type: 'A' })).toBe(2)
    expect(dns.queries[0]).toMatchObject({ address: A, name: 'deep.empty.example.com', transport: 'udp' })
    dns.clearQueries()
    expect(dns.count()).toBe(0)
  })

  it('let a change reach each address at its own time', async () => {
    let clock = 1_000_000
    const dns = await start({ now: () => clock })
    dns.setNode(A, { lagMs: 1_000 })
    dns.setNode(B, { lagMs: 60_000 })
    dns.zones.add('lag.example.com', 'TXT', 'v')
    const seen = async () => {
      const ask = (node: string) => askUdp(dns, node, 'lag.example.com', 'TXT', { rd: true })
      const replies = await Promise.all([A, B, R].map(ask))
      return replies.map(reply => (reply.rcode === 'NXDOMAIN' ? 'absent' : texts(reply).join()))
    }
    expect(await seen()).toEqual(['absent', 'absent', 'v'])
    expect(await resolverAt(dns, B).resolve6('www.example.com')).toHaveLength(1)
    clock += 1_000
    expect(await seen()).toEqual(['v', 'absent', 'v'])
    dns.zones.remove('lag.example.com', 'TXT', 'v')
    expect(await seen()).toEqual(['v', 'absent', 'absent'])
    clock += 59_000
    expect(await seen()).toEqual(['absent', 'v', 'absent'])
    clock += 1_000
    expect(await seen()).toEqual(['absent', 'absent', 'absent'])
  })

  it('that shorten a lag hurry what is under way; those that lengthen it hide nothing', async () => {
    const dns = await start({ now: () => 5 })
    const seen = async () => texts(await askUdp(dns, A, 'lag.example.com', 'TXT'))
    dns.setNode(A, { lagMs: 60_000 })
    dns.zones.add('lag.example.com', 'TXT', 'v')
    expect(await seen()).toEqual([])
    dns.setNode(A, { lagMs: 0 })
    expect(await seen()).toEqual(['v'])
    dns.setNode(A, { lagMs: 60_000 })
    expect(await seen()).toEqual(['v'])
  })
})
