// One question to the sidecar, from the request to the last word, and every way in which that can go wrong.

import { events } from './sse.js'

/** A request id of our own (a UUID), so that a call can be looked up before anything of it has been answered. */
export function freshId() {
  const hex = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte, at) =>
    (at === 6 ? (byte & 0x0f) | 0x40 : at === 8 ? (byte & 0x3f) | 0x80 : byte).toString(16).padStart(2, '0'),
  ).join('')
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5')
}

/**
 * Sends the conversation to an agent and tells `answer` what comes; resolves when it is over, however it ended.
 * `heard` is called with the response as soon as there is a head, and after each event.
 * Gives null, or the trouble: {code?, status?, message, said?, requestId}.
 */
export async function ask({ agent, input, answer, requestId, signal, heard }) {
  let response
  try {
    response = await fetch(`api/chat/${encodeURIComponent(agent)}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream', 'x-request-id': requestId },
      body: JSON.stringify({ input, stream: true }),
      signal,
    })
  } catch (error) {
    return signal.aborted ? null : { code: 'unreachable', message: UNREACHABLE, requestId }
  }
  const id = response.headers.get('x-request-id') ?? requestId
  heard(response)
  if (!response.ok) return { ...(await refused(response, signal)), requestId: id }
  try {
    for await (const data of events(response.body)) {
      if (data === '[DONE]') continue
      answer.tell(parsed(data))
      heard()
    }
  } catch (error) {
    return signal.aborted ? null : { code: 'broken', message: BROKEN, requestId: id }
  }
  if (answer.trouble) return { message: INSIDE, requestId: id, ...defined(answer.trouble) }
  return answer.empty ? { code: 'empty', message: EMPTY, requestId: id } : null
}

const UNREACHABLE = 'The sidecar cannot be reached. Is it still running?'
const BROKEN = 'The connection broke in the middle of the answer. What is above is what arrived.'
const INSIDE = 'The agent reported an error inside its answer.'
const EMPTY = 'The agent ended its answer without saying anything.'

/** An answer that is an error: ours ({error, detail, hint, agent_status}), or the agent's own words passed on. */
async function refused(response, signal) {
  const { status } = response
  let text = ''
  try {
    text = await response.text()
  } catch (error) {
    if (signal.aborted) return { status, message: 'Stopped.' }
  }
  const body = parsed(text)
  if (typeof body?.error === 'string') {
    const { error: code, detail, hint, agent_status: agentStatus } = body
    if (!/^[a-z_]+$/.test(code)) return { status, message: code } // a sentence, as some errors are
    return { code, status, message: detail ?? `The sidecar answered with status ${status}.`, said: hint, agentStatus }
  }
  const said = body?.detail ?? body?.message ?? body?.error?.message ?? text
  const message = `The agent refused the request with status ${status}.`
  return { status, message, said: typeof said === 'string' ? said.slice(0, 600) : JSON.stringify(said) }
}

function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function defined(given) {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined && value !== null))
}
