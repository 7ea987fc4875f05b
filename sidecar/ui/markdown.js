// A small Markdown, read into blocks and made into elements: no HTML, no pictures, links to the web only.

import { copier, h } from './dom.js'
import { inline } from './inline.js'

const FENCE = /^ {0,3}(`{3,}|~{3,})[ \t]*([\w+#.-]*)/
const HEADING = /^ {0,3}(#{1,6})[ \t]+(.*)$/
const RULE = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/
const QUOTE = /^ {0,3}> ?/
const ITEM = /^([ \t]*)([-*+]|\d{1,9}[.)])[ \t]+(.*)$/
const CELLS = /^[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/
const INDENTED = /^(?: {2,}|\t)/
const WRAPPED = 60 // characters; who breaks lines by hand does it behind more
const DEEPEST = 12 // quotes and lists inside one another; what lies deeper is shown as it came

const filled = (lines, at) => lines[at].trim() !== ''
const fenced = (lines, at, from) => at - 1 === from || !closes(lines[at - 1], lines[from])

// kind · whether it begins at this line · whether it still goes on at this line, `from` being its first
const KINDS = [
  ['code', (lines, at) => FENCE.test(lines[at]), fenced],
  ['heading', (lines, at) => HEADING.test(lines[at]), () => false],
  ['rule', (lines, at) => RULE.test(lines[at]), () => false],
  ['quote', (lines, at) => QUOTE.test(lines[at]), (lines, at) => QUOTE.test(lines[at])],
  ['list', (lines, at) => ITEM.test(lines[at]), listed],
  ['table', isTable, (lines, at) => lines[at].includes('|')],
  ['paragraph', filled, (lines, at) => filled(lines, at) && !interrupts(lines, at)],
]

/** The blocks of a text, each {kind, lines}; one that is still being written is the last. */
export function blocks(text) {
  const lines = text.split(/\r\n|\n|\r/)
  const found = []
  for (let at = 0; at < lines.length; ) {
    const from = at++
    const known = KINDS.find(([, begins]) => begins(lines, from))
    if (!known) continue // an empty line
    while (at < lines.length && known[2](lines, at, from)) at++
    found.push({ kind: known[0], lines: lines.slice(from, at) })
  }
  return found
}

function closes(line, opened) {
  const mark = opened.match(FENCE)[1]
  return line.trim().startsWith(mark) && line.trim().replaceAll(mark[0], '') === ''
}

function isTable(lines, at) {
  return lines[at].includes('|') && CELLS.test(lines[at + 1] ?? '') && lines[at + 1].includes('-')
}

function interrupts(lines, at) {
  return KINDS.slice(0, -1).some(([, begins]) => begins(lines, at))
}

function listed(lines, at, from) {
  const belongs = (line) =>
    INDENTED.test(line) || (ITEM.test(line) && /\d/.test(line.match(ITEM)[2]) === /\d/.test(lines[from].match(ITEM)[2]))
  if (lines[at].trim()) return belongs(lines[at]) || (lines[at - 1].trim() !== '' && !interrupts(lines, at))
  const next = lines.slice(at + 1).find((line) => line.trim())
  return next !== undefined && belongs(next)
}

const ELEMENTS = {
  code(lines) {
    const [, , language] = lines[0].match(FENCE)
    const body = lines.slice(1, lines.length > 1 && closes(lines.at(-1), lines[0]) ? -1 : undefined).join('\n')
    const bar = h('figcaption', {}, h('span', {}, language || 'text'), copier(body, 'the code'))
    return h('figure', { class: 'code' }, bar, h('pre', { tabindex: 0, 'aria-label': 'Code' }, h('code', {}, body)))
  },
  heading([line]) {
    const [, { length: level }, text] = line.match(HEADING)
    const given = { class: `level${Math.min(level, 4)}`, dir: 'auto' }
    return h(`h${Math.min(level + 3, 6)}`, given, inline(text.replace(/[ \t]+#+$/, ''))) // below the page's own
  },
  rule: () => h('hr'),
  quote: (lines) => h('blockquote', {}, elements(lines.map((line) => line.replace(QUOTE, '')).join('\n'))),
  list: (lines) => {
    const [, indent, mark] = lines[0].match(ITEM)
    const start = parseInt(mark, 10)
    const found = items(lines, indent.length).map(item)
    return Number.isNaN(start) ? h('ul', {}, found) : h('ol', { start: start !== 1 && `${start}` }, found)
  },
  table(lines) {
    const [head, , ...rows] = lines.map(cells)
    const row = (name, given) => h('tr', {}, head.map((_, at) => h(name, { dir: 'auto' }, inline(given[at] ?? ''))))
    const table = h('table', {}, h('thead', {}, row('th', head)), h('tbody', {}, rows.map((given) => row('td', given))))
    return h('div', { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': 'Table' }, table)
  },
  paragraph: (lines) => h('p', { dir: 'auto' }, running(lines)),
}

/** A list's lines, parted into its items; deeper ones stay inside theirs. */
function items(lines, indent) {
  const found = []
  for (const line of lines) {
    const match = line.match(ITEM)
    if (match && match[1].length <= indent + 1) found.push([match[3]])
    else found.at(-1).push(line.replace(/^(?: {1,4}|\t)/, ''))
  }
  return found
}

function item(lines) {
  const [first, ...rest] = blocks(lines.join('\n'))
  if (!first) return h('li')
  const opening = first.kind === 'paragraph' ? running(first.lines) : element(first)
  return h('li', { dir: 'auto' }, opening, rest.map(element))
}

/** The lines of a paragraph: a long one was only wrapped, behind a short one the break is meant. */
function running(lines) {
  const short = (line) => line.length < WRAPPED || / {2}$/.test(line)
  const text = lines.map((line, at) => line.trim() + (at === lines.length - 1 ? '' : short(line) ? '\n' : ' ')).join('')
  return inline(text).flatMap((node) => (typeof node === 'string' ? broken(node) : [node]))
}

function broken(text) {
  return text.split('\n').flatMap((line, at) => (at ? [h('br'), line] : [line]))
}

function cells(line) {
  return line.trim().replace(/^\||\|$/g, '').split(/(?<!\\)\|/).map((cell) => cell.trim())
}

let depth = 0

function element({ kind, lines }) {
  depth++
  try {
    return ELEMENTS[depth > DEEPEST ? 'paragraph' : kind](lines)
  } finally {
    depth--
  }
}

function elements(text) {
  return blocks(text).map(element)
}

/** Shows a growing text in an element: of what is there already only blocks that changed are made again. */
export class Prose {
  #shown = []

  constructor(place) {
    this.place = place
  }

  show(text) {
    const wanted = blocks(text).map((block) => ({ block, key: `${block.kind}\n${block.lines.join('\n')}` }))
    const same = this.#shown.findIndex((one, at) => one.key !== wanted[at]?.key)
    const kept = same === -1 ? this.#shown.length : same
    for (const { node } of this.#shown.splice(kept)) node.remove()
    for (const { block, key } of wanted.slice(kept)) {
      const node = element(block)
      this.place.append(node)
      this.#shown.push({ key, node })
    }
  }
}
