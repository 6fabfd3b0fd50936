import { type Ca, orderStatus } from './state.ts'

/** An issued certificate as tests see it. */
export interface IssuedCertificate {
  /** As node:crypto writes it: upper-case hex. */
  readonly serial: string
  /** RFC 9773 section 4.1. */
  readonly certId: string
  /** Leaf and intermediates. */
  readonly pem: string
  readonly names: readonly string[]
  readonly notBefore: Date
  readonly notAfter: Date
  /** Null for certificates made by `issue` without an account. */
  readonly accountUrl: string | null
  readonly replaces?: string
  readonly revoked?: { readonly at: number; readonly reason: number }
}

/** An order as tests see it. */
export interface OrderView {
  readonly url: string
  readonly accountUrl: string
  readonly status: string
  readonly names: readonly string[]
  readonly profile: string
  readonly replaces: string | null
  readonly authorizations: readonly { readonly url: string; readonly name: string; readonly status: string }[]
  readonly certificateSerial: string | null
}

/** An account as tests see it. */
export interface AccountView {
  readonly url: string
  readonly status: string
  readonly contact: readonly string[]
  readonly thumbprint: string
  readonly externalAccountKid: string | null
}

/** The certificates issued so far. */
export const issuedView = ({ state }: Ca): readonly IssuedCertificate[] =>
  state.certificates.map(
    ({ serial, certId, pem, names, notBefore, notAfter, accountUrl, replaces, revoked }) => ({
      serial,
      certId,
      pem,
      names,
      notBefore,
      notAfter,
      accountUrl,
      ...(replaces !== null && { replaces }),
      ...(revoked && { revoked }),
    }),
  )

/** The orders placed so far, with their status now. */
export const ordersView = (ca: Ca): readonly OrderView[] =>
  ca.state.orders.map(o => ({
    url: o.url,
    accountUrl: o.account.url,
    status: orderStatus(o, ca.now()),
    names: o.names,
    profile: o.profile,
    replaces: o.replaces,
    authorizations: o.authorizations.map(({ url, name, status }) => ({ url, name, status })),
    certificateSerial: o.certificate?.serial ?? null,
  }))

/** The accounts made so far. */
export const accountsView = ({ state }: Ca): readonly AccountView[] =>
  state.accounts.map(({ url, status, contact, thumbprint, externalAccountKid }) => ({
    url,
    status,
    contact,
    thumbprint,
    externalAccountKid,
  }))
