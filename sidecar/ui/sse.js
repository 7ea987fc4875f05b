// Reads server-sent events from a response's body, wherever the network cut it.

/** The `data` of each event, in order, as text. Comments and other fields are passed over. */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  let data = []
  try {
    for (;;) {
      const { value, done } = await reader.read()
      rest += done ? '\n\n' : value
      const held = !done && rest.endsWith('\r') ? 1 : 0 // the other half of a CR LF may still come
      const lines = rest.slice(0, rest.length - held).split(/\r\n|\n|\r/)
      rest = lines.pop() + rest.slice(rest.length - held)
      for (const line of lines) {
        if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5))
        else if (line === '' && data.length) {
          yield data.join('\n')
          data = []
        }
      }
      if (done) return
    }
  } finally {
    reader.cancel().catch(() => {})
  }
}
