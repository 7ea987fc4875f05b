// The chat page: one conversation, kept here and sent whole with each question.

import { Answer } from './answer.js'
import { ask, freshId } from './ask.js'
import { h } from './dom.js'
import { follower } from './follow.js'
import { chooser, dictionary, examples, listed } from './guide.js'
import { Panel } from './panel.js'
import { AnswerView } from './view.js'

const $ = (id) => document.getElementById(id)
const INSPECTED = document.documentElement.dataset.calls === 'shown'
const WIDE = matchMedia('(min-width: 66rem)')
const PATIENCE = 1200 // ms of silence after which one looks what the sidecar is waiting for

const turns = [] // {text, agent, answer}
const follow = follower($('latest'))
let asking = null // the AbortController of the open question

function status(text) {
  $('status').textContent = text
}

function busy(controller) {
  asking = controller
  $('send').hidden = controller !== null
  $('stop').hidden = controller === null
}

function started(yes) {
  $('start').hidden = yes
  $('talk').hidden = $('anew').hidden = !yes
}

function begin(text) {
  const turn = { text, agent: $('agent').value || 'default' }
  for (const { panel } of turns) panel?.fold()
  turns.push(turn)
  const asked = h('div', { class: 'asked' }, h('h3', { class: 'unseen' }, 'You'), h('p', { dir: 'auto' }, text))
  turn.element = h('article', { class: 'turn' }, asked)
  $('turns').append(turn.element)
  started(true)
  return answered(turn)
}

/** Asks, and shows the answer in the turn's place; asked again, it takes the place of the one before. */
async function answered(turn) {
  const controller = new AbortController()
  const answer = (turn.answer = new Answer())
  const view = new AnswerView(turn.agent)
  turn.panel = INSPECTED ? new Panel(WIDE.matches) : null
  turn.element.querySelectorAll('.answer, .did').forEach((old) => old.remove())
  turn.element.append(view.element, ...(turn.panel ? [turn.panel.element] : []))
  busy(controller)
  status('The agent is asked.')
  follow.jump()

  let requestId = freshId()
  const looking = setInterval(async () => {
    const call = answer.empty && (await turn.panel?.load(requestId))
    const asleep = call?.timeline?.some(({ what }) => what === 'cold_start')
    if (asleep && answer.empty) view.waiting('The agent is asleep. The sidecar waits for it to start…')
  }, PATIENCE)
  const trouble = await ask({
    agent: turn.agent,
    input: turns.slice(0, turns.indexOf(turn) + 1).flatMap(told),
    answer,
    requestId,
    signal: controller.signal,
    heard(response) {
      if (response) {
        requestId = response.headers.get('x-request-id') ?? requestId
        if (turn.panel) turn.panel.mode = response.headers.get('x-sidecar-stream')
        turn.panel?.load(requestId)
      } else view.soon(answer, follow.keep)
    },
  })
  clearInterval(looking)

  const state = controller.signal.aborted ? 'stopped' : trouble ? 'failed' : 'done'
  const again = () => !asking && answered(turn)
  view.finish(state, answer, trouble, again)
  if (asking === controller) busy(null)
  const news = { done: `The answer is complete. ${answer.text.slice(0, 400)}`, failed: `Error. ${trouble?.message}` }
  status(news[state] ?? 'Stopped.')
  await turn.panel?.load(requestId, { settled: true })
  follow.keep()
}

/** A turn as the next question brings it along; the newest has no answer yet. */
function told({ text, answer }) {
  return [{ role: 'user', content: text }, ...answer.history]
}

function fitted() {
  const say = $('say')
  say.style.height = 'auto'
  say.style.height = `${say.scrollHeight}px`
}

function wanted(text) {
  $('say').value = text
  fitted()
  if (!matchMedia('(pointer: coarse)').matches) $('say').focus() // a keyboard on glass would cover the answer
}

$('composer').addEventListener('submit', (event) => {
  event.preventDefault()
  const text = $('say').value.trim()
  if (!text || asking) return
  wanted('')
  begin(text)
})
$('say').addEventListener('input', fitted)
$('say').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault()
    $('composer').requestSubmit()
  }
})
$('stop').addEventListener('click', () => {
  asking?.abort()
  $('say').focus()
})
addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && !$('dictionary').open) asking?.abort()
})
$('anew').addEventListener('click', () => {
  asking?.abort()
  busy(null)
  turns.length = 0
  $('turns').replaceChildren()
  started(false)
  status('A new conversation.')
  wanted('')
})
$('spoken').addEventListener('click', () => $('dictionary').showModal())

const [agents, words] = await Promise.all([listed('agents'), listed('words')])
chooser($('agent'), agents, $('does'))
$('chooser').hidden = agents.length < 2
dictionary($('dictionary'), words, (say) => wanted(`${$('say').value} ${say}`.trim()))
$('spoken').hidden = words.length === 0
examples($('examples'), words.length > 0, (say) => {
  wanted(say)
  $('composer').requestSubmit()
})
document.documentElement.dataset.ready = ''
