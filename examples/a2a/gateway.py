"""A caller of the gateway: what it offers, one agent's card, a message to it, and its answer as it comes.

Nothing in here knows of the sidecar. GATEWAY_URL is where it is, TOKEN what a Databricks App asks its callers for.
"""

import os
from uuid import uuid4

import httpx
from a2a.client import ClientConfig, create_client
from a2a.helpers import get_stream_response_text, new_text_message
from a2a.types.a2a_pb2 import Role, SendMessageRequest

GATEWAY_URL = os.environ.get("GATEWAY_URL", "http://127.0.0.1:9800")
TOKEN = os.environ.get("TOKEN")
HEADERS = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}


def list_agents():
    """The agents that this caller may use: `[{"name", "description", "agent_card_url", …}]`."""
    answer = httpx.get(f"{GATEWAY_URL}/api/agents", headers=HEADERS)
    answer.raise_for_status()
    return answer.json()["agents"]


def agent_card(name):
    """One agent's card. Its endpoints lead through the gateway."""
    answer = httpx.get(f"{GATEWAY_URL}/api/agents/{name}/.well-known/agent-card.json", headers=HEADERS)
    answer.raise_for_status()
    return answer.json()


def send_message(name, text):
    """The whole answer, by JSON-RPC and no SDK: A2A 0.3, which is meant where no `A2A-Version` is sent."""
    message = {"messageId": str(uuid4()), "role": "user", "parts": [{"kind": "text", "text": text}]}
    asked = {"jsonrpc": "2.0", "id": "1", "method": "message/send", "params": {"message": message}}
    url = f"{GATEWAY_URL}/api/agents/{name}/message"
    answer = httpx.post(url, json=asked, headers=HEADERS, timeout=60)
    answer.raise_for_status()
    told = answer.json()
    if "error" in told:
        raise RuntimeError(told["error"]["message"])
    return "".join(part["text"] for one in told["result"]["artifacts"] for part in one["parts"])


async def stream_message(name, text):
    """The answer piece by piece, by the A2A SDK, which finds the way in the agent's card."""
    async with httpx.AsyncClient(headers=HEADERS, timeout=60) as http:
        client = await create_client(f"{GATEWAY_URL}/api/agents/{name}", ClientConfig(httpx_client=http))
        message = new_text_message(text, role=Role.ROLE_USER)
        async for told in client.send_message(SendMessageRequest(message=message)):
            if told.HasField("artifact_update"):
                yield get_stream_response_text(told)
