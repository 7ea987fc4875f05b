"""Three A2A agents: one that says it again, one that calculates, and one that asks others through the gateway.

`python agents.py`, with GATEWAY_URL where the assistant finds the others. Any of them could be an app of its own.
"""

import asyncio
import os
import re
import socket
import sys

import httpx
import uvicorn
from a2a.helpers import new_task_from_user_message, new_text_part
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types.a2a_pb2 import AgentCapabilities, AgentCard, AgentInterface, AgentSkill
from starlette.applications import Starlette

GATEWAY_URL = os.environ.get("GATEWAY_URL", "http://127.0.0.1:9800")
SUMS = {
    "add": lambda a, b: a + b,
    "multiply": lambda a, b: a * b,
    "times": lambda a, b: a * b,
    "subtract": lambda a, b: b - a,
    "divide": lambda a, b: a / b,
}


async def echo(text):
    yield "Echo: "
    yield text


async def calculator(text):
    numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text)]
    word = next((word for word in SUMS if word in text.lower()), None)
    if word is None or len(numbers) != 2 or (word == "divide" and not numbers[1]):
        yield "I add, subtract, multiply and divide two numbers."
    else:
        yield f"{SUMS[word](*numbers):g}"


async def assistant(text):
    """Asks the agent that fits, through the gateway, as the service principal that this agent runs as."""
    name = "calculator" if re.search(r"\d", text) else "echo"
    yield f"I asked {name}: "
    message = {"messageId": "1", "role": "user", "parts": [{"kind": "text", "text": text}]}
    asked = {"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {"message": message}}
    async with httpx.AsyncClient(timeout=60) as http:
        answer = await http.post(f"{GATEWAY_URL}/api/agents/{name}/message", json=asked)
    answer.raise_for_status()
    yield "".join(part["text"] for one in answer.json()["result"]["artifacts"] for part in one["parts"])


class Executor(AgentExecutor):
    def __init__(self, answer):
        self.answer = answer

    async def execute(self, context, event_queue):
        task = context.current_task
        if task is None:
            task = new_task_from_user_message(context.message)
            await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await updater.start_work()
        first = True
        async for piece in self.answer(context.get_user_input()):
            await updater.add_artifact([new_text_part(piece)], artifact_id="answer", append=not first)
            first = False
        await updater.complete()

    async def cancel(self, context, event_queue):
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def app(answer, url):
    name = answer.__name__
    card = AgentCard(
        name=name.title(),
        description=f"The {name} agent",
        version="1.0.0",
        supported_interfaces=[
            AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version="1.0"),
            AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version="0.3"),
        ],
        capabilities=AgentCapabilities(streaming=True),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id=name, name=name, description=f"It is the {name}", tags=[name])],
    )
    handler = DefaultRequestHandler(Executor(answer), InMemoryTaskStore(), card)
    rpc = create_jsonrpc_routes(handler, "/", enable_v0_3_compat=True)
    return Starlette(routes=[*create_agent_card_routes(card), *rpc])


async def main(ports):
    """Each agent on its port; 0 is any free one. Prints where they are."""
    servers = []
    for answer, port in zip((echo, calculator, assistant), ports, strict=True):
        listener = socket.create_server(("127.0.0.1", port))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        print(f"{answer.__name__} {url}", flush=True)
        config = uvicorn.Config(app(answer, f"{url}/"), log_level="warning")
        servers.append(uvicorn.Server(config).serve(sockets=[listener]))
    await asyncio.gather(*servers)


if __name__ == "__main__":
    try:
        asyncio.run(main([int(port) for port in sys.argv[1:]] or [8101, 8102, 8103]))
    except KeyboardInterrupt:
        pass
