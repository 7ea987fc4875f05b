// A chat page whose /api/chat is the agent's /invocations, passed on by http-proxy-middleware.
import { fileURLToPath } from 'node:url'
import express from 'express'
import { createProxyMiddleware } from 'http-proxy-middleware'

const { AGENT_APP_URL, PORT = 3000 } = process.env
const app = express()
app.get('/', (_, response) => response.sendFile(fileURLToPath(new URL('index.html', import.meta.url))))
app.use('/api/chat', createProxyMiddleware({ target: AGENT_APP_URL, changeOrigin: true, pathRewrite: () => '/invocations' }))
app.listen(Number(PORT), '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${PORT}`))
