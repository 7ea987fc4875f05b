// A chat page and the one route behind it: the smallest frontend app that has its agent in another app.
import { fileURLToPath } from "node:url";
import express from "express";
import { proxyAgentChat } from "./agent-proxy.js";

const platform = process.env.DATABRICKS_APP_PORT; // there the platform's proxy calls from outside
const port = Number(platform ?? process.env.PORT ?? 3000);

const app = express();
app.use(express.static(fileURLToPath(new URL("public", import.meta.url))));
app.post("/api/chat", express.json({ limit: "1mb" }), proxyAgentChat);

const server = app.listen(port, platform ? "0.0.0.0" : "127.0.0.1", (error) => {
  if (error) throw error;
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
