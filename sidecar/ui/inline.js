// What stands inside a line of Markdown: code, emphasis, links. Lengths are bounded, so that no text is slow to read.

import { h } from './dom.js'

const SPAN = new RegExp(
  [
    /\\(?<escaped>[\\`*_{}[\]()#+.!~|>-])/,
    /(?<ticks>`{1,8})(?<code>[^`](?:[^\0]{0,2000}?[^`])?)\k<ticks>(?!`)/,
    /!?\[(?<label>[^[\]\n]{1,400})\]\((?<url>[^\s()<>]{1,2000})(?:\s+"[^"\n]{0,200}")?\)/,
    /\*\*(?<strong>[^\s](?:[^\0]{0,800}?[^\s])?)\*\*(?!\*)/,
    /(?<![\w*])\*(?<em>[^\s*](?:[^*]{0,400}?[^\s*])?)\*(?![\w*])/,
    /(?<!\w)_(?<under>[^\s_](?:[^_]{0,400}?[^\s_])?)_(?!\w)/,
    /~~(?<gone>[^\s~](?:[^~]{0,400}?[^\s~])?)~~/,
    /(?<bare>https?:\/\/[^\s<>"`]{1,2000}[^\s<>"`.,;:!?)\]}'*_])/,
  ]
    .map((span) => span.source)
    .join('|'),
  'g',
)

/** The nodes of one line or paragraph. */
export function inline(text) {
  const nodes = []
  let from = 0
  for (const match of text.matchAll(SPAN)) {
    nodes.push(text.slice(from, match.index), node(match.groups))
    from = match.index + match[0].length
  }
  nodes.push(text.slice(from))
  return nodes.filter((one) => one !== '')
}

function node({ escaped, code, label, url, strong, em, under, gone, bare }) {
  if (escaped) return escaped
  if (code) return h('code', {}, code.replace(/^ (.*[^ ].*) $/, '$1'))
  if (url) return link(url, inline(label))
  if (bare) return link(bare, [bare])
  if (strong) return h('strong', {}, inline(strong))
  if (gone) return h('del', {}, inline(gone))
  return h('em', {}, inline(em ?? under))
}

/** A link that leads to the web, and tells nobody where it was followed; any other is its label. */
function link(url, label) {
  if (!/^(https?|mailto):/i.test(url)) return h('span', {}, label)
  return h('a', { href: url, target: '_blank', rel: 'noopener noreferrer' }, label)
}
