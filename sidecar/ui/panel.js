// What the sidecar did for one answer, as it tells under /_sidecar/calls/<request id>: names, sizes and times.

import { copier, h, icon } from './dom.js'

const MODES = {
  raw: 'The agent already spoke what this page reads: its bytes went straight through, none of them touched.',
  translated: 'The agent framed its stream in another way; each event was written anew for this page.',
  synthesized: 'The agent gave one whole answer; the sidecar made this stream of it.',
  collected: 'The agent streamed; the sidecar gathered it into one whole answer.',
}
const ASLEEP = 'The agent sleeps. It is asked whether it is up every two seconds, and the question goes out once more when it is.'

// What happened → how it is called here. What has a row of its own below the timeline is left out of it.
const MOMENTS = {
  accepted: () => 'Request accepted',
  credential: (value) => (value === 'none' ? 'No credential added' : `Credential added: ${value}`),
  attempt: (value) => (value.endsWith(' answered') ? 'The agent answered' : `The agent: ${value.replace(/^\w+ /, '')}`),
  looked: () => 'Asked whether it is up',
  stream_refused: (value) => `It refuses to stream (${value})`,
  cold_start: () => 'It is asleep: waiting',
  waited: (value) => `It woke up after ${value} s`,
  first_byte: () => 'First byte to this page',
  ended: (value) => `Over: ${value}`,
  refused_by: (value) => `Refused by ${value}`,
  plugin_failed: (value) => `Plug-in failed: ${value}`,
}
const ROWS = /^(stream|attempts|shape|shape_sent|bytes_sent|trace_id|identity_\w+)$/

/** The panel beside one answer. It is folded on a narrow screen, and when the next question comes. */
export class Panel {
  mode = null // as the answer's head says it; the record has it when the call is over
  #touched = false
  #over = false

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
      if (!settled || call?.outcome || tries === (call ? 5 : 1)) return call
      await new Promise((resolve) => setTimeout(resolve, 50 << tries))
    }
  }

  show(call) {
    if (this.#over && !call.outcome) return // it was asked for earlier, and came later
    this.#over = Boolean(call.outcome)
    call.stream ??= this.mode
    const { stream, outcome, ms } = call
    this.chips.replaceChildren(
      ...[
        stream && h('span', { class: 'chip mode', 'data-mode': stream }, stream),
        outcome && outcome !== 'ok' && h('span', { class: outcome === 'caller_left' ? 'chip' : 'chip bad' }, outcome),
        ms && h('span', { class: 'chip' }, time(ms)),
      ].filter(Boolean),
    )
    this.body.replaceChildren(
      h('p', { class: 'sentence' }, explained(call)),
      track(call),
      moments(call.timeline),
      rows(call),
    )
  }
}

function explained({ stream, outcome, sentence, timeline }) {
  const last = timeline.at(-1).what
  const said = [MODES[stream], outcome === 'ok' ? null : (sentence ?? (last === 'cold_start' ? ASLEEP : null))]
  return said.filter(Boolean).join(' ') || 'The call is under way.'
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

/** The moments as they are shown: a credential once, and what was asked of a sleeping agent as such. */
function told(timeline) {
  const [asleep, awake] = ['cold_start', 'waited'].map((name) => timeline.findIndex(({ what }) => what === name))
  const up = (at) => asleep !== -1 && at > asleep && (awake === -1 || at < awake)
  const credential = timeline.findIndex(({ what }) => what === 'credential')
  return timeline
    .map((moment, at) => (moment.what === 'attempt' && up(at) ? { ...moment, what: 'looked' } : moment))
    .filter(({ what }, at) => !ROWS.test(what) && (what !== 'credential' || at === credential))
}

function moments(timeline) {
  const row = ({ ms, what, value }) => {
    const name = MOMENTS[what]?.(value) ?? `${what}: ${value}`
    return h('li', { 'data-what': what }, h('span', { class: 'at' }, time(ms)), h('span', {}, name))
  }
  return h('ol', { class: 'moments' }, told(timeline).map(row))
}

function rows({ agent, timeline, body, answer, identity, request_id: request, trace_id: trace }) {
  const attempts = told(timeline).filter(({ what }) => what === 'attempt').length
  const { received, removed, sent } = identity
  const identified = received.length + removed.length + sent.length > 0
  const facts = [
    ['Agent', agent && `${agent.name}, ${agent.trusted ? 'trusted' : 'not trusted'}`],
    ['Asked', attempts === 1 ? 'once' : attempts ? `${attempts} times` : 'never'],
    ['Shape', body.shape && (body.shape === body.shape_sent ? `${body.shape}, as it came` : `${body.shape}, sent as ${body.shape_sent}`)],
    ['Size', `${size(body.bytes)} in, ${body.bytes_sent === body.bytes ? '' : `${size(body.bytes_sent)} sent, `}${size(answer.bytes)} out`],
    ['Identity', !identified && 'none came, none was sent'],
    ['Identity in', identified && names(received)],
    ['removed', identified && names(removed)],
    ['sent on', identified && names(sent)],
    ['Request', short(request, 'the request id')],
    ['Trace', trace && short(trace, 'the trace id')],
  ]
  const row = ([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))
  return h('dl', {}, facts.filter(([, value]) => value).map(row))
}

function names(given) {
  return given.length ? given.map((name) => h('code', { class: 'name' }, name)) : 'none'
}

/** An id that nobody reads to its end, and the button that copies it whole. */
function short(id, label) {
  return [h('code', { title: id }, id.length > 18 ? `${id.slice(0, 13)}…` : id), copier(id, label)]
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
