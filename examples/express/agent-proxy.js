// POST /api/chat: the question goes to the agent app in the name of this app and of its user, the answer comes back.
import { pipeline, Readable } from "node:stream";
import { getExecutionContext } from "./execution-context.js";

const ABOUT_THE_USER = {
  "x-forwarded-access-token": "x-forwarded-access-token",
  "x-forwarded-email": "x-app-user-email",
};

async function buildBackendHeaders(req) {
  const { config } = getExecutionContext().client; // for each request anew: tokens change
  await config.ensureResolved();
  const headers = new Headers({ "Content-Type": "application/json" });
  await config.authenticate(headers);
  for (const [name, told] of Object.entries(ABOUT_THE_USER)) {
    if (req.headers[name]) headers.set(told, req.headers[name]);
  }
  return headers;
}

export async function proxyAgentChat(req, res) {
  const base = (process.env.AGENT_APP_URL ?? "").replace(/\/$/, "");
  if (!base) {
    res.status(500).json({ error: "AGENT_APP_URL is not configured" });
    return;
  }
  const { input, messages } = req.body ?? {};
  if (input === undefined && !Array.isArray(messages)) {
    res.status(400).json({ error: "invalid_body_shape", accepted: ["input", "messages"] });
    return;
  }
  const upstream = await fetch(`${base}/invocations`, {
    method: "POST",
    headers: await buildBackendHeaders(req),
    body: JSON.stringify(input === undefined ? { messages } : { input }),
  });
  if (!upstream.ok || !upstream.body) {
    res.status(upstream.status).send(await upstream.text());
    return;
  }
  res.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-cache", Connection: "keep-alive" });
  // Not `.pipe(res)`: whoever leaves would not be noticed, and an agent lost mid-answer would end this process.
  pipeline(Readable.fromWeb(upstream.body), res, () => {});
}
