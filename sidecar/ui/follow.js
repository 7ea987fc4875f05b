// Keeps the newest text in sight, for as long as the reader wants that.

const NEAR = 64 // pixels from the end that still count as the end

/** `keep()` after the page has grown; `jump()` goes to the end. Scrolling up stops it, coming back resumes. */
export function follower(button) {
  let following = true
  let last = 0
  const end = () => document.documentElement.scrollHeight - innerHeight
  const down = () => scrollTo({ top: end(), behavior: 'instant' })
  const jump = () => {
    following = true
    button.hidden = true
    down()
  }
  addEventListener('scroll', () => {
    if (end() - scrollY < NEAR) following = true
    else if (scrollY < last - 1) following = false // only a reader scrolls up
    last = scrollY
    button.hidden = following || end() - scrollY < NEAR
  }, { passive: true })
  button.addEventListener('click', jump)
  return { jump, keep: () => (following ? down() : (button.hidden = end() - scrollY < NEAR)) }
}
