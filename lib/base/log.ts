/** Structured logging: fields first, then a sentence. Never pass a body that holds `private_key`. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** The same log, with these fields in every line. */
export const logWith = (log: Log, fields: object): Log => ({
  debug: (own, message) => log.debug({ ...fields, ...own }, message),
  info: (own, message) => log.info({ ...fields, ...own }, message),
  warn: (own, message) => log.warn({ ...fields, ...own }, message),
  error: (own, message) => log.error({ ...fields, ...own }, message),
})

/** A log that keeps nothing. */
export const silentLog: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
