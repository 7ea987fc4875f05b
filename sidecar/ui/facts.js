// The facts of one call: how its time went by, what happened when, and what is known of it.

import { copier, h } from './dom.js'

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

/** The bar: waiting for the first byte, then the answer; where the agent was asleep, that lies over it. */
export function track({ timeline, ms, answer: { first_byte_ms: first } }) {
  const end = (ms ?? timeline.at(-1).ms) || 1
  const at = (what) => timeline.find((moment) => moment.what === what)?.ms
  const segment = (kind, from, to) => {
    const one = h('span', { class: `segment ${kind}` })
    one.style.setProperty('--from', from / end)
    one.style.setProperty('--to', to / end)
    return one
  }
  const asleep = at('cold_start')
  const label = `First byte after ${time(first ?? end)}, then ${time(end - (first ?? end))} of answer.`
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

export function moments(timeline) {
  const row = ({ ms, what, value }) => {
    const name = MOMENTS[what]?.(value) ?? `${what}: ${value}`
    return h('li', { 'data-what': what }, h('span', { class: 'at' }, time(ms)), h('span', {}, name))
  }
  return h('ol', { class: 'moments' }, told(timeline).map(row))
}

export function rows(call) {
  const { agent, timeline, body, answer, identity, refusal, request_id: request, trace_id: trace } = call
  const attempts = told(timeline).filter(({ what }) => what === 'attempt').length
  const { received, removed, sent } = identity
  const identified = received.length + removed.length + sent.length > 0
  const facts = [
    ['Agent', agent && `${agent.name}, ${agent.trusted ? 'trusted' : 'not trusted'}`],
    ['Asked', attempts === 1 ? 'once' : attempts ? `${attempts} times` : 'never'],
    ['Shape', body.shape && `${body.shape}, ${shaped(body)}`],
    ['Size', [`${size(body.bytes)} in`, ...resized(body), `${size(answer.bytes)} out`].join(', ')],
    ['Identity', !identified && 'none came, none was sent'],
    ['Identity in', identified && names(received)],
    ['removed', identified && names(removed)],
    ['sent on', identified && names(sent)],
    ['Cause', refusal?.detail !== call.sentence && refusal?.detail],
    ['Next', refusal?.hint],
    ['Request', short(request, 'the request id')],
    ['Trace', trace && short(trace, 'the trace id')],
  ]
  const row = ([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))
  return h('dl', {}, facts.filter(([, value]) => value).map(row))
}

function shaped({ shape, shape_sent: sent }) {
  return sent ? (sent === shape ? 'as it came' : `sent as ${sent}`) : 'not sent'
}

function resized({ bytes, bytes_sent: sent }) {
  return sent === null || sent === bytes ? [] : [`${size(sent)} sent`]
}

function names(given) {
  return given.length ? given.map((name) => h('code', { class: 'name' }, name)) : 'none'
}

/** An id that nobody reads to its end, and the button that copies it whole. */
function short(id, label) {
  return [h('code', { title: id }, id.length > 18 ? `${id.slice(0, 13)}…` : id), copier(id, label)]
}

export function time(ms) {
  if (ms >= 9_995) return `${(ms / 1000).toFixed(1)} s`
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`
  return ms >= 10 ? `${Math.round(ms)} ms` : `${Math.round(ms * 10) / 10} ms`
}

function size(bytes) {
  if (bytes === null || bytes === undefined) return '?'
  if (bytes < 1000) return `${bytes} B`
  return bytes < 1_000_000 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`
}
