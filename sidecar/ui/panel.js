// What the sidecar did for one answer, as it tells under /_sidecar/calls/<request id>: names, sizes and times.

import { copier, h, icon } from './dom.js'

const MODES = {
  raw: 'The agent already spoke what this page reads: its bytes went straight through, none of them touched.',
  translated: 'The agent framed its stream in another way; each event was written anew for this page.',
  synthesized: 'The agent gave one whole answer; the sidecar made this stream of it.',
  collected: 'The agent streamed; the sidecar gathered it into one whole answer.',
}
const NO_STREAM = 'No stream was opened.'

// What happened → how it is called here. Facts that have a row of their own below the timeline are left out.
const MOMENTS = {
  accepted: () => 'Request accepted',
  credential: (value) => (value === 'none' ? 'No credential needed' : `Credential: ${value}`),
  attempt: (value) => attempted(value),
  cold_start: () => 'Agent asleep: waiting for it',
  waited: (value) => `It woke up after ${value} s`,
  first_byte: () => 'First byte to this page',
  ended: (value) => `Over: ${value}`,
  refused_by: (value) => `Refused by ${value}`,
  plugin_failed: (value) => `Plug-in failed: ${value}`,
}
const ROWS = /^(stream|attempts|shape|shape_sent|bytes_sent|trace_id|identity_\w+)$/

/** The panel beside one answer. It is folded on a narrow screen, and when the next question comes. */
export class Panel {
  #touched = false

  constructor(wide) {
    this.chips = h('span', { class: 'chips' })
    this.body = h('div', { class: 'inside' }, h('p', { class: 'sentence' }, 'The call is under way.'))
    const title = h('summary', {}, h('h3', {}, 'What the sidecar did'), this.chips, icon('fold'))
    title.addEventListener('click', () => (this.#touched = true))
    this.element = h('details', { class: 'did', open: wide }, title, this.body)
  }

  fold() {
    if (!this.#touched) this.element.open = false
  }

  /** Asks for the facts, again while the call is not over if `settled`; gives what is known. */
  async load(requestId, { settled = false } = {}) {
    for (let tries = 0; ; tries++) {
      const call = await looked(requestId)
      if (call) this.show(call)
      else if (settled) this.body.replaceChildren(h('p', { class: 'sentence' }, 'The sidecar keeps no record of this call.'))
      if (!settled || call?.outcome || tries === 5) return call
      await new Promise((resolve) => setTimeout(resolve, 50 << tries))
    }
  }

  show(call) {
    const { stream, outcome, sentence, ms } = call
    this.chips.replaceChildren(
      ...[
        stream && h('span', { class: 'chip mode', 'data-mode': stream }, stream),
        outcome && outcome !== 'ok' && h('span', { class: 'chip bad' }, outcome),
        ms && h('span', { class: 'chip' }, time(ms)),
      ].filter(Boolean),
    )
    this.body.replaceChildren(
      h('p', { class: 'sentence' }, MODES[stream] ?? NO_STREAM, outcome && outcome !== 'ok' ? ` ${sentence}` : ''),
      track(call),
      moments(call.timeline),
      rows(call),
    )
  }
}

async function looked(requestId) {
  try {
    const response = await fetch(`_sidecar/calls/${encodeURIComponent(requestId)}`)
    return response.ok ? await response.json() : null
  } catch {
    return null
  }
}

/** The bar: waiting for the first byte, then the answer; where the agent was asleep, that lies over it. */
function track({ timeline, ms, answer: { first_byte_ms: first } }) {
  const end = ms ?? timeline.at(-1).ms
  const at = (what) => timeline.find((moment) => moment.what === what)?.ms
  const segment = (kind, from, to) => {
    const one = h('span', { class: `segment ${kind}` })
    one.style.setProperty('--from', from / end)
    one.style.setProperty('--to', to / end)
    return one
  }
  const asleep = at('cold_start')
  const label = first ? `First byte after ${time(first)}, then ${time(end - first)} of answer.` : `Over after ${time(end)}.`
  return h(
    'div',
    { class: 'track', role: 'img', 'aria-label': label },
    segment('waiting', 0, first ?? end),
    asleep !== undefined && segment('asleep', asleep, at('waited') ?? end),
    first && segment('telling', first, end),
  )
}

function moments(timeline) {
  const shown = timeline.filter(({ what }) => !ROWS.test(what))
  return h(
    'ol',
    { class: 'moments' },
    shown.map(({ ms, what, value }) =>
      h('li', { 'data-what': what }, h('span', { class: 'at' }, time(ms)), MOMENTS[what]?.(value) ?? `${what}: ${value}`),
    ),
  )
}

function rows(call) {
  const { agent, identity, body, answer } = call
  const facts = [
    ['Agent', agent && `${agent.name}, ${agent.kind}, ${agent.trusted ? 'trusted' : 'not trusted'}`],
    ['Asked', call.attempts === 1 ? 'once' : `${call.attempts} times`],
    ['Shape', body.shape && (body.shape === body.shape_sent ? `${body.shape}, as it came` : `${body.shape} → ${body.shape_sent}`)],
    ['Bytes', `${size(body.bytes)} in, ${size(body.bytes_sent)} to the agent, ${size(answer.bytes)} back`],
    ['Identity received', names(identity.received)],
    ['Identity removed', names(identity.removed)],
    ['Identity sent on', names(identity.sent)],
    ['Outcome', call.outcome && [h('code', {}, call.outcome), ` ${call.sentence}`]],
    ['Trace', call.trace_id && [h('code', {}, call.trace_id)]],
    ['Request', [h('code', {}, call.request_id), copier(call.request_id, 'the request id')]],
  ]
  return h('dl', {}, facts.filter(([, value]) => value).map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))))
}

function names(given) {
  return given?.length ? given.map((name) => h('code', { class: 'name' }, name)) : h('span', { class: 'none' }, 'none')
}

function attempted(value) {
  const [sent, result] = String(value).split(' ')
  if (result === 'answered') return 'The agent answered'
  return `Asked: ${result}${sent === 'none' ? ', nothing had been sent' : ''}`
}

function time(ms) {
  if (ms >= 9_995) return `${(ms / 1000).toFixed(1)} s`
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`
  return ms >= 10 ? `${Math.round(ms)} ms` : `${Math.round(ms * 10) / 10} ms`
}

function size(bytes) {
  if (bytes === null || bytes === undefined) return '?'
  if (bytes < 1000) return `${bytes} B`
  return bytes < 1_000_000 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`
}
