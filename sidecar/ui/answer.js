// One answer as it is told: its parts in order, read from Responses events or from chat completion chunks.
// A part is {kind: text | thought | call | other, …}; `changed` says that it is to be drawn again.

export class Answer {
  parts = []
  trouble = null // {code?, message?, said?, requestId?}: an error inside the answer
  #writing = new Map() // item id → the part that its deltas go to
  #calls = new Map() // call id → part
  callAt = new Map() // index of a call in chat chunks → its id, which only the first of them carries

  /** Takes one event, whichever of the two tongues it is in. */
  tell(event) {
    if (event === null || typeof event !== 'object') return
    if (event.type in EVENTS) EVENTS[event.type](this, event)
    else if (event.error && !event.type) this.#fail(event.error)
    else if (event.choices) chunk(this, event.choices[0]?.delta ?? event.choices[0]?.message ?? {})
    else if (event.delta && typeof event.delta === 'object') chunk(this, event.delta)
  }

  get empty() {
    return this.parts.length === 0
  }

  get text() {
    return this.parts.filter((part) => part.kind === 'text').map((part) => part.text).join('\n\n')
  }

  /** What the next question brings along: messages, and tool calls that have a result. */
  get history() {
    return this.parts.flatMap((part) => {
      if (part.kind === 'text') return part.text.trim() ? [{ role: 'assistant', content: part.text }] : []
      if (part.kind !== 'call' || part.output === undefined || !part.name) return []
      const call = { type: 'function_call', call_id: part.id, name: part.name, arguments: part.arguments }
      return [call, { type: 'function_call_output', call_id: part.id, output: part.output }]
    })
  }

  write(kind, id, piece) {
    if (typeof piece !== 'string' || piece === '') return
    let part = this.#writing.get(id)
    if (!part) this.#writing.set(id, (part = this.#add({ kind, text: '' })))
    part.text += piece
    part.changed = true
  }

  /** The finished text of an item, which may have come in pieces before. */
  settle(kind, id, text) {
    const last = this.parts.at(-1)
    const part = this.#writing.get(id) ?? (last?.kind === kind && last.text.trim() === text.trim() ? last : null)
    this.#writing.delete(id)
    if (!part) {
      if (text) this.#add({ kind, text })
    } else if (part.text !== text && text) Object.assign(part, { text, changed: true })
  }

  call(id, { name, args, piece = '' }) {
    let part = this.#calls.get(id)
    if (!part) {
      part = this.#add({ kind: 'call', id, name: '', arguments: '', output: undefined })
      this.#calls.set(id, part)
      this.#writing.delete(CHAT)
    }
    part.name = name || part.name
    part.arguments = args ?? part.arguments + piece
    part.changed = true
  }

  result(id, output) {
    if (!this.#calls.has(id)) this.call(id, {})
    const text = typeof output === 'string' ? output : JSON.stringify(output)
    Object.assign(this.#calls.get(id), { output: text, changed: true })
    this.#writing.delete(CHAT)
  }

  /** A finished item: a message, a call, its result, a thought, or something that this page shows as it came. */
  item(item) {
    if (!item || typeof item !== 'object') return
    const { type, id = '', call_id: call = id, content, summary, name, arguments: args } = item
    if (type === 'message' || (!type && item.role)) this.settle('text', id, texts(content))
    else if (type === 'reasoning') this.settle('thought', id, texts(summary?.length ? summary : content))
    else if (type === 'function_call') this.call(call, { name, args })
    else if (type === 'function_call_output') this.result(call, item.output)
    else this.#add({ kind: 'other', item })
  }

  fail(trouble) {
    this.trouble = { ...this.trouble, ...trouble }
  }

  #fail(error) {
    const said = typeof error === 'string' ? error : error.message ?? JSON.stringify(error)
    this.fail({ said, code: error.code ?? 'agent_error' })
  }

  #add(part) {
    this.parts.push(Object.assign(part, { changed: true }))
    return part
  }
}

const CHAT = Symbol('the text of chat chunks, which carry no item id')

const EVENTS = {
  'response.output_text.delta': (to, event) => to.write('text', event.item_id ?? '', event.delta),
  'response.refusal.delta': (to, event) => to.write('text', event.item_id ?? '', event.delta),
  'response.reasoning_summary_text.delta': (to, event) => to.write('thought', event.item_id ?? '', event.delta),
  'response.reasoning_text.delta': (to, event) => to.write('thought', event.item_id ?? '', event.delta),
  'response.output_item.done': (to, event) => to.item(event.item),
  'response.completed': (to, event) => {
    if (to.empty) for (const item of event.response?.output ?? []) to.item(item)
  },
  'response.failed': (to, event) => {
    const error = event.response?.error ?? {}
    to.fail({ code: error.code ?? 'agent_error', said: error.message })
  },
  'response.incomplete': (to, event) => {
    to.fail({ code: 'incomplete', said: event.response?.incomplete_details?.reason })
  },
  error: (to, event) => {
    to.fail({ code: event.code ?? 'agent_error', message: event.message, requestId: event.request_id })
  },
}

/** The text of a message's content, in any of the shapes in which it may come. */
function texts(content) {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content.map((part) => part?.text ?? part?.refusal ?? '').join('')
}

function chunk(to, delta) {
  if (delta.role === 'tool') return to.result(delta.tool_call_id ?? '', texts(delta.content))
  to.write('thought', 'reasoning', delta.reasoning_content)
  to.write('text', CHAT, texts(delta.content))
  for (const [at, made] of (delta.tool_calls ?? []).entries()) {
    const index = made.index ?? at
    if (made.id) to.callAt.set(index, made.id)
    const { name, arguments: piece = '' } = made.function ?? {}
    to.call(to.callAt.get(index) ?? `call ${index}`, { name, piece })
  }
}
