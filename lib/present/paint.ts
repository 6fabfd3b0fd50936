/** Colours a piece of text by an SGR code (ECMA-48), where there is a terminal to show it. */
export type Paint = (text: string, code: number) => string

export const painter =
  (colour: boolean): Paint =>
  (text, code) =>
    colour ? `\x1b[${code}m${text}\x1b[0m` : text
