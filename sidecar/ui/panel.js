// What the sidecar did for one answer, as it tells under /_sidecar/calls/<request id>: names, sizes and times.

import { h, icon } from './dom.js'
import { moments, rows, time, track } from './facts.js'

const MODES = {
  raw: 'The agent already spoke what this page reads: its bytes went straight through, none of them touched.',
  translated: 'The agent framed its stream in another way; each event was written anew for this page.',
  synthesized: 'The agent gave one whole answer; the sidecar made this stream of it.',
  collected: 'The agent streamed; the sidecar gathered it into one whole answer.',
}
const ASLEEP =
  'The agent sleeps. It is asked every two seconds whether it is up; then the question goes out once more.'
const UNKNOWN = 'The sidecar keeps no record of this call.'

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
      else if (settled) this.body.replaceChildren(h('p', { class: 'sentence' }, UNKNOWN))
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
  const happened = new Set(timeline.map(({ what }) => what))
  const asleep = happened.has('cold_start') && !happened.has('waited')
  const said = [MODES[stream], outcome === 'ok' ? null : (sentence ?? (asleep ? ASLEEP : null))]
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
