// The page's /api/chat is the agent's /invocations: a rewrite, and no code of ours.
const { AGENT_APP_URL: target = 'http://127.0.0.1:9', PORT = 4173 } = process.env

export default {
  preview: {
    host: '127.0.0.1',
    port: Number(PORT),
    strictPort: true,
    allowedHosts: true, // which Hosts are served is said by what stands in front
    proxy: { '/api/chat': { target, changeOrigin: true, rewrite: () => '/invocations' } },
  },
}
