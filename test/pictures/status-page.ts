/** The upper part of the status page as a picture: the page itself, as a phone shows it, in an SVG. */
import type { Language } from '../../lib/contracts.ts'
import { pageOf } from '../../lib/present/page/page.ts'
import { fleet } from '../present/fleet.ts'
import { svg } from './svg.ts'

const WIDTH = 540
const HEIGHT = 680
const TARGETS = 12
/** As many as are seen. */
const SHOWN = 4
/** The one that is shown in detail, counted from the top. */
const OPENED = 1
const BEGIN = '<details class="target">'

/** @throws Error when it is not there, or twice: the page is not what the picture was made for */
function replaced(text: string, what: RegExp, by: string): string {
  if (text.split(what).length !== 2) throw new Error(`not once in the page: ${what}`)
  return text.replace(what, by)
}

/** Its size must not depend on where the picture is shown: no rule asks for the width. */
function styleOf(page: string): string {
  const [, css = ''] = /<style>([\s\S]*)<\/style>/.exec(page) ?? []
  const narrow = replaced(css, /\n@media \(max-width:40rem\)\{(?=.*\}\n)/, '\n')
  const closed = narrow.replace(/(\.hide-small\{display:none\})\}/, '$1')
  const onScreen = replaced(closed, /\n@media print.*/, '')
  const shown = replaced(onScreen, /content-visibility:auto;contain-intrinsic-size:[^}]*/, '')
  return replaced(shown, /\nsvg(?=\{)/, '\nbody svg')
}

function bodyOf(page: string): string {
  const [, body = ''] = /<body>([\s\S]*)<\/body>/.exec(page) ?? []
  const [head = '', ...targets] = body.split(BEGIN)
  const shown = targets.slice(0, SHOWN).map((target, i) => {
    const whole = target.slice(0, target.indexOf('</details>'))
    return i === OPENED
      ? `<details class="target" open="">${whole}</details>`
      : `${BEGIN}${whole.slice(0, whole.indexOf('<div class="body">'))}</details>`
  })
  return `${head}${shown.join('\n')}</main>`.replaceAll('<svg ', '<svg xmlns="http://www.w3.org/2000/svg" ')
}

/** The page of a made-up fleet. Pure. */
export function statusPageSvg(language: Language): string {
  const page = pageOf(fleet(TARGETS), language)
  const [, lang = ''] = /<html lang="(.*?)">/.exec(page) ?? []
  const [, title = ''] = /<title>(.*)<\/title>/.exec(page) ?? []
  return svg({
    width: WIDTH,
    height: HEIGHT,
    title,
    style: styleOf(page),
    body: `<clipPath id="card"><rect x="1" y="1" width="${WIDTH - 2}" height="${HEIGHT - 2}" rx="9"/></clipPath>
<linearGradient id="fade" x2="0" y2="1"><stop style="stop-color:var(--ground);stop-opacity:0"/><stop offset="1" style="stop-color:var(--ground)"/></linearGradient>
<g clip-path="url(#card)"><foreignObject width="${WIDTH}" height="${HEIGHT}"><body xmlns="http://www.w3.org/1999/xhtml" lang="${lang}">${bodyOf(page)}</body></foreignObject>
<rect y="${HEIGHT - 110}" width="${WIDTH}" height="110" fill="url(#fade)"/></g>`,
  })
}
