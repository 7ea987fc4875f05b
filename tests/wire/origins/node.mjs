// An agent on Node's own server, a process of its own: prints `ready <url>`.
import { createServer } from "node:http";
import { setTimeout as pause } from "node:timers/promises";

const json = { "content-type": "application/json" };
const runs = {};
const gates = {};

function gate(query) {
  if (!gates[query]) {
    let resolve;
    const promise = new Promise((known) => (resolve = known));
    gates[query] = { promise, resolve };
  }
  return gates[query];
}

function whole(response, value) {
  const text = JSON.stringify(value);
  response.writeHead(200, { ...json, "content-length": text.length }).end(text);
}

async function answer(request, response) {
  const [path, query = ""] = request.url.split("?");
  if (path === "/gated") await gate(query).promise;
  let length = 0;
  for await (const piece of request) length += piece.length;
  runs[query] = (runs[query] ?? 0) + 1;
  switch (path) {
    case "/early":
      response.writeProcessing();
      response.writeEarlyHints({ link: "</style.css>; rel=preload" });
    // falls through
    case "/echo":
    case "/gated":
      return whole(response, { length, method: request.method });
    case "/large":
      return whole(response, "x".repeat(2000));
    case "/chunked":
      response.writeHead(200, json).write("[1");
      return response.end(", 2]");
    case "/until-closed":
      response.useChunkedEncodingByDefault = false;
      response.writeHead(200, { ...json, connection: "close" }).write("[1");
      return response.end(", 2]");
    case "/stream":
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (let n = 0; n < 20; n++) {
        response.write(`data: ${n}\n\n`);
        await pause(1);
      }
      return response.end();
    case "/nothing":
      return response.writeHead(204).end();
    case "/unchanged":
      return response.writeHead(304, { etag: '"1"' }).end();
    case "/open":
      gate(query).resolve();
      return response.writeHead(204).end();
    case "/runs":
      return whole(response, runs);
    default:
      return response.writeHead(404, { ...json, "content-length": 2 }).end("{}");
  }
}

const server = createServer((request, response) => {
  answer(request, response).catch(() => response.destroy()); // a request that was broken off
});
server.keepAliveTimeout = 1000;
server.listen(0, "127.0.0.1", () => console.log(`ready http://127.0.0.1:${server.address().port}`));
