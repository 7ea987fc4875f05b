# Databricks notebook source
# ruff: noqa: E402
# %% [markdown]
# # A2A agents behind one address
# Runs cell by cell in Databricks, VS Code or Jupyter (as a percent script). In a notebook on Databricks first
# `%pip install -r requirements.txt`, and set GATEWAY_URL and TOKEN.

# %% Where the gateway is
import os

os.environ.setdefault("GATEWAY_URL", "http://127.0.0.1:9800")

from gateway import agent_card, list_agents, send_message, stream_message

# %% [markdown]
# ## Which agents may I use?
# From the settings, and with `SIDECAR_UC_DISCOVERY=on` from Unity Catalog: those that your own token may use.

# %%
for agent in list_agents():
    print(f"{agent['name']:12} {agent['description'] or ''}")

# %% [markdown]
# ## What does one of them say of itself?
# Every endpoint in the card leads through the gateway, so an SDK that follows it stays there.

# %%
card = agent_card("calculator")
print(card["name"], [interface["url"] for interface in card["supportedInterfaces"]])

# %% [markdown]
# ## Ask it

# %%
for question in ("Add 15 and 27", "Multiply 6 by 7", "Divide 100 by 4", "What is 25 times 4?"):
    print(f"{question:22} {send_message('calculator', question)}")

# %% [markdown]
# ## Hear it as it speaks
# A notebook has a loop of its own, which goes on with it; elsewhere `asyncio.run` does the same.

# %%
import asyncio


async def shown(name, text):
    async for piece in stream_message(name, text):
        print(piece, end="|", flush=True)
    print()


try:
    asyncio.get_running_loop()
except RuntimeError:
    asyncio.run(shown("echo", "Test message with special chars: @#$%^&*()"))
else:
    showing = asyncio.ensure_future(shown("echo", "Test message with special chars: @#$%^&*()"))  # noqa: RUF006

# %% [markdown]
# ## Several agents, and one that asks another
# The assistant calls the calculator through the gateway as its own service principal: that needs the right, not you.

# %%
print(send_message("echo", "System check"))
print(send_message("calculator", "Multiply 1250 by 12"))
print(send_message("assistant", "Add 42 and 17"))

# %% [markdown]
# ## As tools of a LangChain agent

# %%
from tool import a2a_tools

tools = a2a_tools()
print([tool.name for tool in tools])
print(next(tool for tool in tools if tool.name == "calculator").invoke({"text": "Subtract 8 from 50"}))
