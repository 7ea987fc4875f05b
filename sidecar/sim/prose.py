"""The texts that stand-ins answer with."""

LONG = """# What the sidecar does for this answer

The page sent your words to `/api/chat`. From there they went **once** to an agent, and this text comes
back *piece by piece*, as it is written. Nothing waits until the end.

## Three things to look at

1. The first words arrive long before the last ones.
2. Pressing *stop* closes the agent's connection, too.
3. Beside the answer stands what the sidecar did:
   - which agent it asked, and in which shape
   - how long the first byte took
   - how the stream ended

> A stream that ends without its closing mark is *truncated*, and is called so.

## Letters of all kinds

Grüße aus Zürich, ¿qué tal?, 你好，世界, こんにちは, Здравствуйте, שלום, and emoji: 🚀 🌍 👩‍🔬 🏳️‍🌈 — each is
cut somewhere by a packet's end, and each arrives whole.

```python
async def polite(call: Call, forward: Handler) -> Reply:
    reply = await forward(call)
    return reply  # looked at, and handed on
```

| part | asks | answers |
|---|---|---|
| browser | `POST /api/chat` | text as it streams |
| sidecar | `POST /invocations` | the same bytes |
| agent | its tools | events |

## And some length

""" + "\n\n".join(
    f"Paragraph {number}. The lighthouse keeper counted the ships that passed, wrote each into the book, and "
    f"lit the lamp at dusk; on evening {number} the fog came in, and he counted by ear."
    for number in range(1, 9)
)

THOUGHT = "The user wants to see a thought. First comes the thought, then the answer."
