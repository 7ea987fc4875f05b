// How an answer looks while it is told, and when it is over.

import { copier, h, icon, pretty } from './dom.js'
import { Prose } from './markdown.js'

const STOPPED = 'Stopped. The connection to the agent is closed, too.'

/** One answer on the page. `element` goes into the turn; `draw` as often as there is news. */
export class AnswerView {
  #views = [] // of each part
  #scheduled = 0
  #rest = 0 // not before: drawing takes at most a fifth of the time, however long the text

  constructor(agent) {
    this.parts = h('div', { class: 'parts' })
    this.wait = h('p', { class: 'wait' }, h('span', { class: 'pulse' }), h('span', {}, 'Asking the agent…'))
    this.end = h('div', { class: 'end' })
    this.who = h('div', { class: 'who' }, h('span', { class: 'disc', 'aria-hidden': 'true' }), h('h3', {}, agent))
    this.element = h('div', { class: 'answer', 'data-state': 'waiting' }, this.who, this.parts, this.wait, this.end)
  }

  /** What is being waited for, as long as nothing has come. */
  waiting(text) {
    this.wait.lastChild.textContent = text
  }

  /** Draws soon; `drawn` is called when that has happened. */
  soon(answer, drawn) {
    if (this.#scheduled) return
    const wait = Math.max(0, this.#rest - performance.now())
    this.#scheduled = setTimeout(() => requestAnimationFrame(() => {
      if (!this.#scheduled) return
      this.#scheduled = 0
      const began = performance.now()
      this.draw(answer)
      drawn()
      this.#rest = performance.now() + 4 * (performance.now() - began)
    }), wait)
  }

  draw(answer) {
    for (const [at, part] of answer.parts.entries()) {
      if (!part.changed) continue
      part.changed = false
      if (!this.#views[at]) {
        this.#views[at] = PARTS[part.kind](part)
        this.parts.append(this.#views[at].element)
      }
      this.#views[at].show(part)
    }
    if (!answer.empty && this.element.dataset.state === 'waiting') this.element.dataset.state = 'streaming'
  }

  /** The last state: done, stopped, or failed with its trouble. `again` asks once more. */
  finish(state, answer, trouble, again) {
    clearTimeout(this.#scheduled)
    this.#scheduled = 0
    this.draw(answer)
    this.element.dataset.state = state
    for (const card of this.parts.querySelectorAll('.card[data-state=running]')) card.dataset.state = 'left'
    const note = state === 'stopped' && h('p', { class: 'note' }, STOPPED)
    if (answer.text) this.who.append(copier(answer.text, 'the answer'))
    this.end.replaceChildren(...[trouble && troubled(trouble, again), note].filter(Boolean))
  }
}

const PARTS = {
  text() {
    const element = h('div', { class: 'prose' })
    const prose = new Prose(element)
    return { element, show: (part) => prose.show(part.text) }
  },
  thought() {
    const body = h('p', { class: 'thought' })
    const element = card('thought', [h('span', { class: 'name' }, 'Thought')], body)
    return { element, show: (part) => body.replaceChildren(part.text) }
  },
  call() {
    const [name, brief, state] = ['name', 'brief', 'state'].map((one) => h('span', { class: one }))
    const given = h('pre', { tabindex: 0, 'aria-label': 'Arguments' })
    const got = h('pre', { tabindex: 0, 'aria-label': 'Result' })
    const result = h('div', { hidden: true }, h('h4', {}, 'Result'), got)
    const element = card('tool', [name, brief, state], h('h4', {}, 'Arguments'), given, result)
    return {
      element,
      show(part) {
        name.textContent = part.name || 'a tool'
        brief.textContent = part.arguments === '{}' ? '' : part.arguments
        given.textContent = pretty(part.arguments)
        const over = part.output !== undefined
        state.textContent = over ? 'done' : 'called'
        element.dataset.state = over ? 'done' : 'running'
        result.hidden = !over
        got.textContent = over ? pretty(part.output) : ''
      },
    }
  },
  other(part) {
    const body = h('pre', { tabindex: 0, 'aria-label': 'Item' }, pretty(part.item))
    const element = card('tool', [h('span', { class: 'name' }, String(part.item.type ?? 'item'))], body)
    return { element, show() {} }
  },
}

function card(drawing, title, ...body) {
  const summary = h('summary', {}, icon(drawing), title, icon('fold'))
  return h('details', { class: 'card' }, summary, h('div', { class: 'inside' }, body))
}

function troubled({ code, status, message, said, requestId, agentStatus }, again) {
  const facts = [
    code && h('code', {}, code),
    status && h('span', {}, `HTTP ${status}`),
    agentStatus && h('span', {}, `the agent answered ${agentStatus}`),
    requestId && h('span', { class: 'id' }, 'request ', h('code', {}, requestId), copier(requestId, 'the request id')),
  ]
  const line = (name, text) => h('p', { class: name }, text)
  const told = [line('what', message), said && line('said', said), line('facts', facts)]
  const retry = h('button', { type: 'button', class: 'plain', onclick: again }, 'Try again')
  return h('div', { class: 'trouble', role: 'group', 'aria-label': 'Error' }, icon('alert'), h('div', {}, told), retry)
}
