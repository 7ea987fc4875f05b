// An agent on Node's own server, a process of its own: prints `ready <url>`.
import { createServer } from "node:http";
import { setTimeout as pause } from "node:timers/promises";

const server = createServer(async (request, response) => {
  let length = 0;
  for await (const piece of request) length += piece.length;
  const json = { "content-type": "application/json" };
  switch (request.url) {
    case "/echo": {
      const value = JSON.stringify({ length, method: request.method });
      return response.writeHead(200, { ...json, "content-length": value.length }).end(value);
    }
    case "/chunked":
      response.writeHead(200, json).write("[1");
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
    default:
      return response.writeHead(404, { ...json, "content-length": 2 }).end("{}");
  }
});
server.listen(0, "127.0.0.1", () => console.log(`ready http://127.0.0.1:${server.address().port}`));
