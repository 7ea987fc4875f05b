// The page: what was said so far, a line to write in, and the answer as it grows.
import { ask } from "./agent-chat.js";

const log = document.querySelector("ol");
const form = document.querySelector("form");
const messages = [];

function turn(role, content = "") {
  const item = document.createElement("li");
  item.className = role;
  item.textContent = content;
  log.append(item);
  return item;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const content = form.say.value.trim();
  if (!content || form.send.disabled) return;
  form.reset();
  form.send.disabled = true;
  messages.push({ role: "user", content });
  turn("user", content);
  const answer = turn("assistant");
  try {
    for await (const text of ask(messages)) answer.textContent += text;
    messages.push({ role: "assistant", content: answer.textContent });
  } catch (error) {
    turn("error", error.message);
  } finally {
    form.send.disabled = false;
    form.say.focus();
  }
});
