"""All routes of ours in the words of OpenAPI 3.1: a table, told as a document."""

from typing import Any, Final, NamedTuple

from sidecar.version import VERSION

CHAT: Final = {"input": [{"role": "user", "content": "hello"}], "stream": False}
RPC: Final = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "message/send",
    "params": {
        "message": {"messageId": "m-1", "role": "user", "parts": [{"kind": "text", "text": "hello"}]},
    },
}


class Operation(NamedTuple):
    """One row: the tag says where it is served."""

    tag: str
    method: str
    path: str
    summary: str
    body: Any = None
    answers: str = "application/json"


STREAM: Final = "text/event-stream"
OPERATIONS: Final = (
    Operation(
        "chat",
        "post",
        "/api/chat",
        "Ask the default agent, in either shape; streamed unless JSON is asked for.",
        CHAT,
        STREAM,
    ),
    Operation("chat", "post", "/api/chat/{agent}", "Ask one agent.", CHAT, STREAM),
    Operation("agents", "get", "/api/agents", "The agents that the caller may use."),
    Operation("agents", "get", "/api/agents/{agent}", "One of them."),
    Operation(
        "agents",
        "get",
        "/api/agents/{agent}/.well-known/agent-card.json",
        "Its card; every endpoint in it leads through here.",
    ),
    Operation(
        "agents",
        "get",
        "/api/agents/{agent}/.well-known/agent.json",
        "The same, at the path of A2A before 0.3.",
    ),
    Operation("agents", "post", "/api/agents/{agent}", "A2A by JSON-RPC, any method.", RPC),
    Operation("agents", "post", "/api/agents/{agent}/message", "The same.", RPC),
    Operation(
        "agents",
        "post",
        "/api/agents/{agent}/stream",
        "The same, answered as a stream: `message/send` means `message/stream`.",
        RPC,
        STREAM,
    ),
    Operation(
        "agents",
        "get",
        "/api/agents/{agent}/{rest}",
        "Anything else of the agent's, by any method, as it answers it.",
    ),
    Operation(
        "app",
        "post",
        "/agents/{agent}/invocations",
        "An agent app's own endpoint, as mlflow's AgentServer has it.",
        CHAT,
    ),
    Operation("app", "post", "/agents/{agent}/responses", "The same, as OpenAI's clients call it.", CHAT),
    Operation(
        "app",
        "get",
        "/agents/{agent}/{rest}",
        "Anything else of the agent's, by any method, as it answers it.",
    ),
    Operation("app", "post", "/invocations", "The agent `default`.", CHAT),
    Operation("app", "post", "/responses", "The agent `default`.", CHAT),
    Operation("about", "get", "/docs", "This page.", None, "text/html"),
    Operation("about", "get", "/openapi.json", "This document."),
)
TAGS: Final = {
    "chat": "A chat page's own route.",
    "agents": "The gateway's API: the caller is whom the platform names, else whoever the bearer belongs to.",
    "app": "What an app's own server calls, at the egress door only unless SIDECAR_FRONT_ROUTES lists it.",
    "about": "Served at the egress door; at the front where SIDECAR_FRONT_ROUTES lists it.",
}


def document() -> dict[str, Any]:
    """The whole document. `servers` is relative: an egress key in front of the path stays there."""
    described: dict[str, dict[str, Any]] = {}
    for row in OPERATIONS:
        described.setdefault(row.path, {})[row.method] = operation(row)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Agent Sidecar", "version": VERSION},
        "servers": [{"url": "."}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": described,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": ERROR},
        },
    }


def operation(row: Operation) -> dict[str, Any]:
    names = [part[1:-1] for part in row.path.split("/") if part.startswith("{")]
    told: dict[str, Any] = {
        "tags": [row.tag],
        "summary": row.summary,
        "operationId": f"{row.method} {row.path}",
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ],
        "responses": {
            "200": {"description": "The answer.", "content": {row.answers: {}}},
            "default": {
                "description": "A refusal; docs/errors.md has every code.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
        "security": [{}, {"bearer": []}] if row.tag == "agents" else [{}],
    }
    if row.body is not None:
        told["requestBody"] = {"content": {"application/json": {"example": row.body}}}
    return told


ERROR: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"type": "string", "description": "A stable code."},
        "detail": {"type": "string", "description": "What happened."},
        "hint": {"type": "string", "description": "What to do next."},
        "agent_status": {"type": "integer", "description": "What the agent answered, where it did."},
    },
}
