// A frontend on Express, a process of its own, run where its packages are: prints `ready <url>`.
import { createHash } from "node:crypto";
import express from "express";

const app = express();
let served = 0;
app.get("/stream", (request, response) => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (let n = 0; n < 20; n++) response.write(`data: ${n}\n\n`);
  response.end();
});
app.use(async (request, response) => {
  served += 1;
  const digest = createHash("sha256");
  let length = 0;
  for await (const piece of request) {
    length += piece.length;
    digest.update(piece);
  }
  const raw = request.rawHeaders;
  const headers = raw.flatMap((name, at) => (at % 2 ? [] : [[name, raw[at + 1]]]));
  response.append("set-cookie", "a=1").append("set-cookie", "b=2");
  const { method, originalUrl: target } = request;
  response.json({ method, target, headers, length, digest: digest.digest("hex"), served });
});
const server = app.listen(0, "127.0.0.1", () => console.log(`ready http://127.0.0.1:${server.address().port}`));
