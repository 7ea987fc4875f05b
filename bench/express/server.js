// Express + fetch in the shape of the published recipe's handler: what most teams run today.
import { Readable } from "node:stream";
import express from "express";

const app = express();
app.use(express.json());
app.post("/api/chat", async (req, res) => {
  const { input, messages, stream, plan } = req.body ?? {};
  if (input === undefined && !Array.isArray(messages)) {
    res.status(400).json({ error: "invalid_body_shape", accepted: ["input", "messages"] });
    return;
  }
  const headers = { "Content-Type": "application/json", Authorization: "Bearer app" };
  const token = req.headers["x-forwarded-access-token"];
  if (token) headers["x-forwarded-access-token"] = token;
  const email = req.headers["x-forwarded-email"];
  if (email) headers["x-app-user-email"] = email;
  const body = JSON.stringify(input !== undefined ? { input, stream, plan } : { messages, stream, plan });
  const upstream = await fetch(`${process.env.AGENT_APP_URL}/invocations`, { method: "POST", headers, body });
  res.writeHead(upstream.status, { "Content-Type": upstream.headers.get("content-type") });
  Readable.fromWeb(upstream.body).pipe(res);
});
app.listen(Number(process.argv[2]), "127.0.0.1");
