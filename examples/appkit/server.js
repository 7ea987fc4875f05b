// An AppKit app whose agent is another app: its page, and the one route behind it.
import { pipeline, Readable } from 'node:stream'
import { createApp, getExecutionContext, server } from '@databricks/appkit'

async function chat(request, response) {
  const headers = new Headers({ 'content-type': 'application/json' })
  await getExecutionContext().client.config.authenticate(headers) // the app's own bearer
  const { 'x-forwarded-access-token': token, 'x-forwarded-email': email } = request.headers
  if (token) headers.set('x-forwarded-access-token', token)
  if (email) headers.set('x-app-user-email', email)
  const asked = { method: 'POST', headers, body: JSON.stringify(request.body) }
  const answer = await fetch(`${process.env.AGENT_APP_URL}/invocations`, asked)
  response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'application/json' })
  pipeline(Readable.fromWeb(answer.body), response, () => {})
}

await createApp({
  plugins: [server({ staticPath: 'public' })],
  onPluginsReady: (appkit) => appkit.server.extend((app) => app.post('/api/chat', (request, response, next) => chat(request, response).catch(next))),
})
