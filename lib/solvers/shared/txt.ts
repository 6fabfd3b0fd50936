const MAX_STRING = 255

/** A TXT value in double quotes, in strings of at most 255 characters (RFC 1035 sections 3.3.14 and 5.1). */
export const quotedTxt = (value: string): string =>
  (value.match(new RegExp(`.{1,${MAX_STRING}}`, 'gs')) ?? [''])
    .map(text => `"${text.replace(/["\\]/g, '\\$&')}"`)
    .join(' ')

/** The text of a TXT value in double quotes; one without them is taken as it is. */
export const textOfTxt = (record: string): string => {
  let whole: string | null = null
  /** Of a string that has not ended yet; null: between strings. */
  let open: string | null = null
  for (let at = 0; at < record.length; at += 1) {
    const char = record.charAt(at)
    if (open === null) open = char === '"' ? '' : null
    else if (char === '\\') {
      at += 1
      open += record.charAt(at)
    } else if (char !== '"') open += char
    else {
      whole = (whole ?? '') + open
      open = null
    }
  }
  return whole ?? record
}
