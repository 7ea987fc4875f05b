// Elements made by hand: a text is always a text, never markup.

const SVG = 'http://www.w3.org/2000/svg'

/** An element with these properties (`class`, `on…`, attributes) and children (nodes, texts, nothing). */
export function h(name, given = {}, ...children) {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value)
    else element.setAttribute(key === 'class' ? 'class' : key, value === true ? '' : value)
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false))
  return element
}

/** One of the drawings that index.html holds. */
export function icon(name) {
  const drawing = document.createElementNS(SVG, 'svg')
  drawing.setAttribute('class', 'icon')
  drawing.setAttribute('aria-hidden', 'true')
  const use = document.createElementNS(SVG, 'use')
  use.setAttribute('href', `#i-${name}`)
  drawing.append(use)
  return drawing
}

/** JSON as people read it; what is no JSON stays as it is. */
export function pretty(text) {
  if (typeof text !== 'string') return JSON.stringify(text, null, 2) ?? ''
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}

/** A button that puts a text into the clipboard and says so. */
export function copier(text, label) {
  const given = { type: 'button', class: 'copy', 'aria-label': `Copy ${label}`, title: 'Copy' }
  const button = h('button', given, icon('copy'))
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(text)
    } catch {
      return // no clipboard off localhost and https; the text can be selected
    }
    button.replaceChildren(icon('check'))
    setTimeout(() => button.replaceChildren(icon('copy')), 1500)
  })
  return button
}
