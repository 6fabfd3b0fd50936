import { fitted } from '../../lib/present/fit.ts'

/** A text in the columns of the terminal; as it is for whoever reads it by a pipe. */
export const toFit = (text: string, { isTTY, columns }: NodeJS.WriteStream = process.stdout): string =>
  isTTY && columns ? fitted(text, columns) : text
