import { X509Certificate } from 'node:crypto'
import type { CertificateSource, Run, SolverReference, SourceContext, SourceMemory } from '../contracts.ts'
import {
  type AccountAccess,
  type AccountSettings,
  openAccount,
  rememberedAccount,
} from './account/account.ts'
import { rolloverAccount } from './account/rollover.ts'
import { checkCa } from './check-ca.ts'
import { abandonOrder } from './order/abandon.ts'
import { type BudgetSettings, openBudget, unissuedMs } from './order/budget.ts'
import { createDns01, type Dns01 } from './order/dns01.ts'
import { obtainCertificate } from './order/order.ts'
import { mainJournal, rehearsalJournal, rehearse, stagingMemory, withRehearsal } from './order/rehearsal.ts'
import type { AcmeClient } from './protocol/client.ts'
import { problemOf } from './protocol/problem.ts'
import { CA_LIMIT } from './protocol/transport.ts'
import { revokeCertificate } from './revoke.ts'

/** How a source orders. */
export interface AcmeSettings extends AccountSettings {
  /** The CA's directory (RFC 8555 section 7.1.1). */
  readonly directory: string
  /** Directory of the CA's test environment, or null. */
  readonly staging: string | null
  readonly solver: SolverReference
  readonly budget: Omit<BudgetSettings, 'unissuedMs'>
  readonly caCertificates: string | null
}

interface Opening {
  readonly create: boolean
  readonly forget: boolean
}

/** One directory with the account there; the staging one of a source, if it has one, is another. */
interface Environment {
  /** Its path in the settings. */
  readonly settings: string
  readonly memory: SourceMemory
  readonly accessOf: (run: Run) => AccountAccess
  readonly open: (run: Run, opening: Opening) => Promise<AcmeClient | null>
}

const createEnvironment = (
  account: AcmeSettings,
  context: SourceContext,
  where: { readonly settings: string; readonly directoryUrl: string; readonly memory: SourceMemory },
): Environment => {
  const { settings, directoryUrl, memory } = where
  const accessOf = (run: Run): AccountAccess => {
    const http = context.http(account.caCertificates, CA_LIMIT)
    const isPrivate = account.caCertificates !== null
    return { connection: { settings, directoryUrl, isPrivate, http, run }, account, memory }
  }
  let last: Promise<unknown> = Promise.resolve()
  return {
    settings,
    memory,
    accessOf,
    // One caller at a time, so that two orders never make two accounts or fetch two directories.
    open: (run, opening) => {
      const opened = last.then(() => openAccount(accessOf(run), opening))
      last = opened.catch(() => {})
      return opened
    },
  }
}

const KNOWN: Opening = { create: false, forget: false }

/** Null: there is none, or it cannot be read, whoever bound it. */
const lifetimeMs = (pem: string | null): number | null => {
  try {
    const { validFrom, validTo } = new X509Certificate(pem ?? '')
    return Date.parse(validTo) - Date.parse(validFrom)
  } catch {
    return null
  }
}

/**
 * Works with the account; once more with newAccount when the CA has lost it (a test CA started anew), or has moved
 * and may know it by another URL only.
 */
const withAccount = async <T>(
  { open }: Environment,
  run: Run,
  work: (client: AcmeClient) => Promise<T>,
): Promise<T> => {
  const client = (await open(run, { create: true, forget: false })) as AcmeClient
  const { newAccountUrl } = client
  try {
    return await work(client)
  } catch (thrown) {
    const isLost = problemOf(thrown)?.type === 'accountDoesNotExist'
    if (!isLost && client.newAccountUrl === newAccountUrl) throw thrown
    return work((await open(run, { create: true, forget: true })) as AcmeClient)
  }
}

/** After a failed validation the next one is tried on staging first, where a failure costs nothing. */
const obtainBy =
  (
    own: AcmeSettings,
    production: Environment,
    staging: Environment | null,
    dns01: (run: Run, emergency?: boolean) => Dns01,
  ): CertificateSource['obtain'] =>
  async (request, journal, run) => {
    const { names } = request.spec
    const dns = dns01(run, request.emergency)
    const { perMs } = own.budget
    const limits = { ...own.budget, unissuedMs: unissuedMs(perMs, lifetimeMs(request.replaces)) }
    const budgetAt = ({ memory, settings }: Environment) =>
      openBudget(memory, names, limits, { clock: run.clock, settings })
    const budget = budgetAt(production)
    // No account is made, and no CA asked, for names whose records could not be written anyway.
    if ((await rememberedAccount(production.memory)) === null) await dns.prepare(names, null)
    if (staging !== null) {
      const waits = await rehearse({ request, journal, budget, run }, work =>
        withAccount(staging, run, client => work({ client, dns, budget: budgetAt(staging) })),
      )
      if (waits) return waits
    }
    const work = { dns, request, journal: mainJournal(journal), budget }
    const obtained = await withAccount(production, run, client => obtainCertificate({ client, ...work }))
    return withRehearsal(obtained, journal)
  }

/** What an ACME source does with an account: all but asking for renewal info, which needs none. */
export function openAcmeSource(
  own: AcmeSettings,
  context: SourceContext,
): Required<Pick<CertificateSource, 'obtain' | 'abandon' | 'outlook' | 'revoke' | 'check' | 'rollover'>> {
  const { memory } = context
  const settings = `sources.${context.name}`
  const production = createEnvironment(own, context, { settings, directoryUrl: own.directory, memory })
  const staging =
    own.staging === null
      ? null
      : createEnvironment(own, context, {
          settings: `${settings}.staging`,
          directoryUrl: own.staging,
          memory: stagingMemory(memory),
        })
  const dns01 = (run: Run, emergency?: boolean) =>
    createDns01(domain => context.solver(own.solver, domain), context.http, run, emergency)
  return {
    obtain: obtainBy(own, production, staging, dns01),
    abandon: async (journal, run) => {
      const dns = dns01(run)
      const openStaging = async () => staging?.open(run, KNOWN) ?? null
      await abandonOrder(openStaging, dns, rehearsalJournal(journal), run)
      await abandonOrder(() => production.open(run, KNOWN), dns, mainJournal(journal), run)
    },
    outlook: (names, until, run) => dns01(run).outlook(names, until),
    revoke: (revocation, run) => revokeCertificate(production.accessOf(run), revocation),
    check: run => checkCa(production.accessOf(run), () => production.open(run, KNOWN)),
    rollover: run => rolloverAccount(production.accessOf(run)),
  }
}
