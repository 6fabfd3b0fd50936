/** What the pictures have in common. They have no script and ask nobody for anything. */

export const COLOURS = `:root{color-scheme:light dark;--ground:#fff;--card:#f6f7f9;--line:#d5d9e0;--text:#16191f;--soft:#4d5563;--good:#12692f;--warn:#7a4a00;--bad:#a8161b;--key:#0b55b5}
@media (prefers-color-scheme:dark){:root{--ground:#101216;--card:#191c22;--line:#353b46;--text:#e8eaee;--soft:#aab2bf;--good:#69d08d;--warn:#f0b95a;--bad:#ff8f8f;--key:#8ab8ff}}`

export const SANS = 'system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans SC",sans-serif'
export const MONO = 'ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace'

export const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

interface Drawing {
  readonly width: number
  readonly height: number
  /** For those who cannot see it. */
  readonly title: string
  readonly style: string
  readonly body: string
}

/** A card of its own, whatever it lies on. */
export const svg = ({ width, height, title, style, body }: Drawing): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeXml(title)}">
<title>${escapeXml(title)}</title>
<style>${COLOURS}
${style}</style>
<rect x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="10" style="fill:var(--ground);stroke:var(--line)"/>
${body}
</svg>
`
