"""The real client of A2A 0.3, in the same words as `a2a_client`."""

import asyncio
import json
import sys

import httpx
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory, create_text_message_object
from a2a.types import Message, TaskQueryParams
from a2a.utils import get_message_text
from a2a.utils.artifact import get_artifact_text


async def used(url, text, stream, binding, headers):
    async with httpx.AsyncClient(headers=headers, timeout=20) as http:
        card = await A2ACardResolver(http, url).get_agent_card()
        client = ClientFactory(ClientConfig(streaming=stream, httpx_client=http)).create(card)
        texts, states, task = [], [], None
        async for told in client.send_message(create_text_message_object(content=text)):
            if isinstance(told, Message):
                texts.append(get_message_text(told))
                continue
            task, update = told
            states.append(task.status.state.value)
            if update is None:
                texts += [get_artifact_text(one, delimiter="") for one in task.artifacts or []]
            elif update.kind == "artifact-update":
                texts.append(get_artifact_text(update.artifact, delimiter=""))
        known = None
        if task and card.name == "Echo":
            known = (await client.get_task(TaskQueryParams(id=task.id))).status.state.value
        told = json.loads(card.model_dump_json(by_alias=True, exclude_none=True))
        return {"card": told, "texts": texts, "states": states, "known": known, "error": None}


async def asked(question):
    try:
        async with asyncio.timeout(20):
            return await used(**question)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


for line in sys.stdin:
    sys.stdout.write(json.dumps(asyncio.run(asked(json.loads(line)))) + "\n")
    sys.stdout.flush()
