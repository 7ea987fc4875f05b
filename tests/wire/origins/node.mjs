// An agent on Node's own server, a process of its own: prints `ready <url>`.
import { createHash } from "node:crypto";
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

// The next frame of a caller's, as it goes back: unmasked; and what follows it. Nothing until it is there.
function taken(buffer) {
  if (buffer.length < 2) return [];
  const short = buffer[1] & 0x7f;
  const start = short === 126 ? 4 : 2;
  const size = short === 126 ? (buffer.length < 4 ? Infinity : buffer.readUInt16BE(2)) : short;
  const end = start + 4 + size;
  if (buffer.length < end) return [];
  const mask = buffer.subarray(start, start + 4);
  const words = buffer.subarray(start + 4, end).map((byte, at) => byte ^ mask[at % 4]);
  return [Buffer.concat([Buffer.from([buffer[0], short]), buffer.subarray(2, start), words]), buffer.subarray(end)];
}

// A WebSocket that says again what it is told.
function echo(request, socket) {
  const query = request.url.split("?")[1];
  runs[query] = (runs[query] ?? 0) + 1;
  const key = request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  const accept = createHash("sha1").update(key).digest("base64");
  socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
  socket.write(`Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
  let buffer = Buffer.alloc(0);
  socket.on("error", () => socket.destroy()); // a caller that was cut off
  socket.on("data", (data) => {
    buffer = Buffer.concat([buffer, data]);
    for (let [frame, rest] = taken(buffer); frame; [frame, rest] = taken(buffer)) {
      buffer = rest;
      socket.write(frame);
      if ((frame[0] & 15) === 8) socket.end();
    }
  });
}

const server = createServer((request, response) => {
  answer(request, response).catch(() => response.destroy()); // a request that was broken off
});
server.on("upgrade", echo);
server.keepAliveTimeout = 1000;
server.listen(0, "127.0.0.1", () => console.log(`ready http://127.0.0.1:${server.address().port}`));
