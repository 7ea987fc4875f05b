"""The real client of today's SDK: finds an agent by its card and asks it, a line of JSON at a time.

In: `{"url": …, "text": …, "stream": true, "binding": "JSONRPC"}`. Out: `{"card": {…}, "texts": […], "states": […],
"task": …, "error": null}`.
"""

import asyncio
import json
import sys

import httpx
from a2a.client import ClientConfig, create_client
from a2a.helpers import get_stream_response_text, new_text_message
from a2a.types.a2a_pb2 import GetExtendedAgentCardRequest, GetTaskRequest, Role, SendMessageRequest, TaskState
from google.protobuf.json_format import MessageToDict


async def used(url, text, stream, binding, headers):
    async with httpx.AsyncClient(headers=headers, timeout=20) as http:
        config = ClientConfig(streaming=stream, httpx_client=http, supported_protocol_bindings=[binding])
        client = await create_client(url, config)
        card = MessageToDict(client._card)
        texts, states, task = [], [], None
        async for told in client.send_message(
            SendMessageRequest(message=new_text_message(text, role=Role.ROLE_USER))
        ):
            kind = told.WhichOneof("payload")
            part = getattr(told, kind)
            if kind != "status_update":  # what it says of its work
                texts.append(get_stream_response_text(told, ""))
            if kind in ("task", "status_update"):
                states.append(TaskState.Name(part.status.state))
            task = part.id if kind == "task" else task
        known = None
        if task and card["name"] == "Echo":
            known = TaskState.Name((await client.get_task(GetTaskRequest(id=task))).status.state)
        extended = None
        if card.get("capabilities", {}).get("extendedAgentCard"):
            extended = MessageToDict(await client.get_extended_agent_card(GetExtendedAgentCardRequest()))
        return {
            "card": card,
            "texts": texts,
            "states": states,
            "known": known,
            "extended": extended,
            "error": None,
        }


async def asked(question):
    try:
        async with asyncio.timeout(20):
            return await used(**question)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


for line in sys.stdin:
    sys.stdout.write(json.dumps(asyncio.run(asked(json.loads(line)))) + "\n")
    sys.stdout.flush()
