/** One process that dies at its n-th outside call, before or after the call took effect. */

import type { DnsSolver, Journal, SourceMemory } from '../../lib/contracts.ts'
import type { Http } from '../../lib/http/http.ts'
import type { Outside } from './rig.ts'

export class Crash extends Error {}

export interface Mortal extends Outside {
  /** Outside calls so far, by name. */
  readonly calls: readonly string[]
  readonly dead: boolean
}

/** Wraps everything a process touches; after its death nothing reaches the outside any more. */
export function mortal(outside: Outside, dieAt: number, when: 'before' | 'after'): Mortal {
  const calls: string[] = []
  let dead = false
  const die = (): never => {
    dead = true
    throw new Crash('dead')
  }
  const step = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    if (dead) throw new Crash('dead')
    calls.push(name)
    const mine = calls.length === dieAt
    if (mine && when === 'before') die()
    const result = await work()
    return mine ? die() : result
  }
  const http: Http = {
    request: request =>
      step(`${request.method} ${new URL(request.url).pathname}`, () => outside.http.request(request)),
    close: () => outside.http.close(),
  }
  const solver: DnsSolver = {
    propagation: outside.solver.propagation,
    prepare: (...given) => step('prepare', () => outside.solver.prepare(...given)),
    present: (...given) => step('present', () => outside.solver.present(...given)),
    cleanUp: (...given) => step('cleanUp', () => outside.solver.cleanUp(...given)),
  }
  const journal: Journal = {
    get notes() {
      return outside.journal.notes
    },
    write: notes => step('journal.write', () => outside.journal.write(notes)),
    privateKey: make => step('journal.privateKey', () => outside.journal.privateKey(make)),
    adoptKey: key => step('journal.adoptKey', () => outside.journal.adoptKey(key)),
  }
  const memory: SourceMemory = {
    read: () => step('memory.read', () => outside.memory.read()),
    update: change => step('memory.update', () => outside.memory.update(change)),
    secret: (name, make) => step('memory.secret', () => outside.memory.secret(name, make)),
    forget: name => step('memory.forget', () => outside.memory.forget(name)),
  }
  return {
    http,
    solver,
    journal,
    memory,
    calls,
    get dead() {
      return dead
    },
  }
}
