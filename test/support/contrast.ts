/**
 * Text whose contrast with its ground is below 4.5:1 (WCAG 2.2, 1.4.3). Runs in a browser, hence a text: here are no
 * types of a document.
 */
export const LOW_CONTRAST = String.raw`(() => {
  const parse = text => {
    const [r = 0, g = 0, b = 0, a = 1] = (text.match(/[\d.]+/g) ?? []).map(Number)
    return [r, g, b, a]
  }
  const luminance = ([r, g, b]) => {
    const [x = 0, y = 0, z = 0] = [r, g, b].map(c => {
      const s = c / 255
      return s <= 0.03928 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * x + 0.7152 * y + 0.0722 * z
  }
  const grounds = new Map()
  const groundOf = element => {
    if (!element) return [255, 255, 255, 1]
    if (!grounds.has(element)) {
      const own = parse(getComputedStyle(element).backgroundColor)
      grounds.set(element, own[3] === 1 ? own : groundOf(element.parentElement))
    }
    return grounds.get(element)
  }
  const found = new Set()
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(n => n.nodeType === 3 && (n.textContent ?? '').trim() !== '')
    if (!own || element.closest('svg') || getComputedStyle(element).display === 'none') continue
    const [a, b] = [luminance(parse(getComputedStyle(element).color)), luminance(groundOf(element))]
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    if (ratio < 4.5)
      found.add(element.tagName + ' "' + (element.textContent ?? '').slice(0, 30) + '" ' + ratio.toFixed(2))
  }
  return [...found]
})()`
