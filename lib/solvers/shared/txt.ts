const MAX_STRING = 255

/** A TXT value in double quotes, in strings of at most 255 characters (RFC 1035 sections 3.3.14 and 5.1). */
export const quotedTxt = (value: string): string =>
  (value.match(new RegExp(`.{1,${MAX_STRING}}`, 'gs')) ?? [''])
    .map(text => `"${text.replace(/["\\]/g, '\\$&')}"`)
    .join(' ')

/** The text of a TXT value in double quotes; one without them is taken as it is. */
export const textOfTxt = (record: string): string => {
  const strings = record.match(/"(?:[^"\\]|\\.)*"/g)
  return strings ? strings.map(text => text.slice(1, -1).replace(/\\(.)/g, '$1')).join('') : record
}
