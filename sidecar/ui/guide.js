// What one can try: the agents, the words that direct a demo's, and a few examples for who comes here first.

import { h } from './dom.js'

const DEMO = [
  ['A long answer', 'Give me a long answer, please', 'Markdown, shown as it streams'],
  ['A tool call', 'Use a tool to look up the weather', 'The call, its result, and then the text'],
  ['An agent that refuses to stream', 'Refuse streaming', 'The sidecar asks again, and makes the stream itself'],
  ['A failure half way', 'Fail mid-stream', 'An error inside an answer that had status 200'],
  ['A login page', 'Answer in html', 'A wrong address is named as such'],
  ['Whose call is it?', 'whoami', 'Which identity headers reach the agent'],
]
const PLAIN = [
  ['What it can do', 'What can you help me with?', 'A first question'],
  ['Something to read', 'Explain in three paragraphs how you work.', 'Long enough to see it stream'],
  ['Something laid out', 'Compare two things that you know well, in a table.', 'Tables and code are shown as such'],
]

/** A list that the sidecar tells, or none where it cannot be asked. */
export async function listed(name) {
  try {
    const response = await fetch(`_sidecar/${name}`)
    return response.ok ? (await response.json())[name] : []
  } catch {
    return []
  }
}

/** Buttons that ask something at once. */
export function examples(place, demo, choose) {
  const row = ([title, say, note]) => {
    const told = [h('strong', {}, title), h('span', { class: 'say' }, say), h('span', { class: 'note' }, note)]
    return h('li', {}, h('button', { type: 'button', onclick: () => choose(say) }, told))
  }
  place.replaceChildren(...(demo ? DEMO : PLAIN).map(row))
}

/** Fills the dialog; a word that is chosen goes into the message. */
export function dictionary(dialog, words, choose) {
  const chosen = (say) => {
    dialog.close()
    choose(say.replace(/ N$/, ''))
  }
  const row = ({ say, does }) =>
    h('li', {}, h('button', { type: 'button', onclick: () => chosen(say) }, h('code', {}, say), h('span', {}, does)))
  dialog.querySelector('ul').replaceChildren(...words.map(row))
  dialog.addEventListener('click', (event) => event.target === dialog && dialog.close()) // beside it
}

/** The choice of an agent, and what the chosen one does. */
export function chooser(select, agents, described) {
  select.replaceChildren(...agents.map(({ name }) => h('option', { value: name }, name)))
  const tell = () => (described.textContent = agents.find(({ name }) => name === select.value)?.does ?? '')
  select.addEventListener('change', tell)
  tell()
}
