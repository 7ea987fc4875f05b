"""A real A2A server of today's SDK: echoes in pieces; asks back, raises, hangs or answers with a message if told to."""

import asyncio
import socket
import sys
import threading

import uvicorn
from a2a.helpers import new_task_from_user_message, new_text_message, new_text_part
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types.a2a_pb2 import AgentCapabilities, AgentCard, AgentInterface, AgentSkill
from starlette.applications import Starlette


class Echo(AgentExecutor):
    async def execute(self, context, event_queue):
        text = context.get_user_input()
        if text == "message":
            await event_queue.enqueue_event(new_text_message("Echo: message", context_id=context.context_id))
            return
        task = context.current_task
        if task is None:
            task = new_task_from_user_message(context.message)
            await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await updater.start_work(updater.new_agent_message([new_text_part("Looking at it")]))
        if text == "ask":
            await updater.requires_input(updater.new_agent_message([new_text_part("Which city?")]))
            return
        await updater.add_artifact([new_text_part("Echo:")], artifact_id="a1")
        if text == "raise":
            raise RuntimeError("as you asked")
        if text == "hang":
            await asyncio.Event().wait()
        await updater.add_artifact(
            [new_text_part(f" {text}")], artifact_id="a1", append=True, last_chunk=True
        )
        await updater.complete()

    async def cancel(self, context, event_queue):
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def app(url):
    card = AgentCard(
        name="Echo",
        description="Echo Agent",
        version="1.0.0",
        supported_interfaces=[
            AgentInterface(url=f"{url}/rpc", protocol_binding="JSONRPC", protocol_version="1.0"),
            AgentInterface(url=f"{url}/rest", protocol_binding="HTTP+JSON", protocol_version="1.0"),
        ],
        capabilities=AgentCapabilities(streaming=True, extended_agent_card=True),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id="echo", name="echo", description="echoes", tags=["echo"])],
    )
    handler = DefaultRequestHandler(Echo(), InMemoryTaskStore(), card, extended_agent_card=card)
    rpc = create_jsonrpc_routes(handler, "/rpc", enable_v0_3_compat=True)
    rest = create_rest_routes(handler, path_prefix="/rest")
    return Starlette(routes=[*create_agent_card_routes(card), *rpc, *rest])


async def main():
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    serving = uvicorn.Server(uvicorn.Config(app(url), log_level="warning"))

    def watch():
        sys.stdin.read()
        serving.should_exit = serving.force_exit = True

    threading.Thread(target=watch, daemon=True).start()
    sys.stdout.write(f"ready {url}\n")
    sys.stdout.flush()
    await serving.serve(sockets=[listener])


asyncio.run(main())
