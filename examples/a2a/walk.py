"""The whole walk: discover, card, send, stream, several agents, an agent that calls another, a LangChain tool."""

import asyncio

from gateway import agent_card, list_agents, send_message, stream_message
from tool import a2a_tools


async def main():
    names = [agent["name"] for agent in list_agents()]
    print("agents:", ", ".join(sorted(names)))

    card = agent_card("echo")
    print("card:", card["name"], "streams" if card["capabilities"]["streaming"] else "answers whole")
    print("endpoint:", card["supportedInterfaces"][0]["url"])

    print("send:", send_message("echo", "Hello from A2A!"))

    print("stream:", end="", flush=True)
    async for piece in stream_message("echo", "Tell me in pieces"):
        print(f" [{piece}]", end="", flush=True)
    print()

    connected = send_message("echo", "System check")
    product = send_message("calculator", "Multiply 1250 by 12")
    print(f"several: {connected}; {product}")

    print("through another:", send_message("assistant", "Add 42 and 17"))

    tools = {tool.name: tool for tool in a2a_tools()}
    print("tool:", tools["calculator"].invoke({"text": "Divide 100 by 4"}))


if __name__ == "__main__":
    asyncio.run(main())
