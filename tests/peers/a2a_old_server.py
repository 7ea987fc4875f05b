"""The same agent on the SDK of A2A 0.3, whose streams are dropped where the agent raises."""

import asyncio
import socket
import sys
import threading

import uvicorn
from a2a.server.agent_execution import AgentExecutor
from a2a.server.apps import A2AStarletteApplication
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentSkill, Part, TextPart
from a2a.utils import new_agent_text_message, new_task


def said(text):
    return [Part(root=TextPart(text=text))]


class Echo(AgentExecutor):
    async def execute(self, context, event_queue):
        text = context.get_user_input()
        if text == "message":
            await event_queue.enqueue_event(new_agent_text_message("Echo: message", context.context_id))
            return
        task = context.current_task
        if task is None:
            task = new_task(context.message)
            await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await updater.start_work(updater.new_agent_message(said("Looking at it")))
        if text == "ask":
            await updater.requires_input(updater.new_agent_message(said("Which city?")), final=True)
            return
        await updater.add_artifact(said("Echo:"), artifact_id="a1")
        if text == "raise":
            raise RuntimeError("as you asked")
        if text == "hang":
            await asyncio.Event().wait()
        await updater.add_artifact(said(f" {text}"), artifact_id="a1", append=True, last_chunk=True)
        await updater.complete()

    async def cancel(self, context, event_queue):
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def app(url):
    card = AgentCard(
        name="Echo",
        description="Echo Agent",
        version="1.0.0",
        url=f"{url}/rpc",
        capabilities=AgentCapabilities(streaming=True),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id="echo", name="echo", description="echoes", tags=["echo"])],
    )
    handler = DefaultRequestHandler(agent_executor=Echo(), task_store=InMemoryTaskStore())
    return A2AStarletteApplication(agent_card=card, http_handler=handler).build(rpc_url="/rpc")


async def main():
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    serving = uvicorn.Server(uvicorn.Config(app(url), log_level="critical"))

    def watch():
        sys.stdin.read()
        serving.should_exit = serving.force_exit = True

    threading.Thread(target=watch, daemon=True).start()
    sys.stdout.write(f"ready {url}\n")
    sys.stdout.flush()
    await serving.serve(sockets=[listener])


asyncio.run(main())
