// Asks with the whole history, and gives the text of the answer piece by piece, in either tongue that agents speak.
export async function* ask(messages, url = "/api/chat") {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ messages }),
  });
  if (!answer.ok || !answer.body) throw new Error(`HTTP ${answer.status}`);
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  let buffer = "";
  while (true) {
    const { done, value } = await reader.read();
    if (done) return;
    buffer += decoder.decode(value, { stream: true });
    const blocks = buffer.split("\n\n");
    buffer = blocks.pop();
    for (const block of blocks) {
      const line = block.split("\n").find((line) => line.startsWith("data: "));
      const chunk = line && parsed(line.slice("data: ".length));
      if (chunk?.error) throw new Error(chunk.message ?? chunk.error);
      const text = chunk?.type === "response.output_text.delta" ? chunk.delta : chunk?.choices?.[0]?.delta?.content;
      if (text) yield text;
    }
  }
}

function parsed(payload) {
  try {
    return JSON.parse(payload);
  } catch {
    return null; // `[DONE]`, or words that are no answer
  }
}
