/** How an error repeats what it refuses: services and gateways quote a field, cut off, in one form or another. */
export interface Quoting {
  /** Of the JSON body that was sent; null: the whole body. */
  readonly field: string | null
  readonly end: 'first' | 'last'
  readonly chars: number
  readonly as: 'plain' | 'base64' | 'json'
}

/** What stands for the quotation in the body of a fault. */
export const QUOTED = '{quoted}'

const FORMS: Readonly<Record<Quoting['as'], (text: string) => string>> = {
  plain: text => text,
  base64: text => Buffer.from(text).toString('base64'),
  json: text => JSON.stringify(text).slice(1, -1),
}

const fieldOf = (sent: string, field: string): string => {
  const value: unknown = (JSON.parse(sent) as Readonly<Record<string, unknown>>)[field]
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** The part of a body that an error repeats. */
export function quotationOf(sent: string, { field, end, chars, as }: Quoting): string {
  const text = FORMS[as](field === null ? sent : fieldOf(sent, field))
  return end === 'first' ? text.slice(0, chars) : text.slice(-chars)
}

/** A body in JSON or XML with the quotation in its place. */
export const withQuotation = (body: string, sent: string, quoting: Quoting): string =>
  body.replace(QUOTED, () => FORMS.json(quotationOf(sent, quoting)))
