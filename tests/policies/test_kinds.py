"""What an agent says of itself at a few cheap paths tells its kind."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.kinds import KINDS, QUESTIONS, kind

CARD = "/.well-known/agent-card.json"
OLD = "/.well-known/agent.json"


@pytest.mark.parametrize(
    ("path", "told", "found"),
    [
        ("/agent/info", {"name": "x", "use_case": "agent", "mlflow_version": "3"}, "responses"),
        ("/agent/info", {"name": "x"}, None),
        (CARD, {"protocolVersion": "0.3.0", "url": "https://x"}, "a2a"),
        (CARD, {"supportedInterfaces": []}, "a2a"),
        (OLD, {"protocolVersion": "0.2.6", "defaultInputModes": []}, "a2a"),
        (CARD, {"schemaVersion": "1.0", "protocolVersion": "0.3.0"}, "apx"),
        (CARD, {"protocolVersion": "0.3.0", "capabilities": {"a2aVersion": "0.3.0"}}, "apx"),
        (OLD, {"mcpEndpoint": "https://x/mcp"}, "apx"),
        (OLD, {"mcpEndpoint": None, "protocolVersion": "0.3.0"}, "a2a"),
        (OLD, {"name": "x"}, None),
        ("/api/config/health", {"status": "healthy"}, "builder"),
        ("/api/config/health", {"status": "ok"}, None),
        ("/api/config/health", ["healthy"], None),
    ],
)
def test_what_it_says_tells_its_kind(path: str, told: Any, found: str | None) -> None:
    assert kind(path, 200, told) == found
    assert kind(path, 404, told) is None


@settings(max_examples=1000, deadline=None)
@given(
    st.sampled_from(list(QUESTIONS)),
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=5) | st.just("healthy"),
        lambda inner: (
            st.dictionaries(st.sampled_from(["status", "use_case", "capabilities", "url"]), inner)
            | st.lists(inner, max_size=2)
        ),
        max_leaves=5,
    ),
)
def test_whatever_it_says_is_a_kind_or_nothing(path: str, told: Any) -> None:
    assert kind(path, 200, told) in (None, *KINDS)
