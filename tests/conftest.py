"""Fixtures that tests of every folder share."""

from collections.abc import Iterator

import pytest
from needs import need
from peers import running


@pytest.fixture(scope="session")
def mlflow_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Two real mlflow AgentServers, each a process: `responses` and `plain` → URL."""
    with running.mlflow(need("peers"), tmp_path_factory.mktemp("mlflow")) as urls:
        yield urls


@pytest.fixture(scope="session")
def mlflow_responses(mlflow_servers: dict[str, str]) -> str:
    """The URL of a real `AgentServer("ResponsesAgent")`. See tests/peers/mlflow_agent.py for its words."""
    return mlflow_servers["responses"]


@pytest.fixture(scope="session")
def mlflow_plain(mlflow_servers: dict[str, str]) -> str:
    """The URL of a real `AgentServer(None)`, whose handler takes either shape and answers in its tongue."""
    return mlflow_servers["plain"]


@pytest.fixture(scope="session")
def openai_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[running.OpenAI]:
    """The real openai client: `told, error = await openai_client.asks(base_url, "hello", stream=True)`."""
    with running.openai(need("peers"), tmp_path_factory.mktemp("openai")) as client:
        yield client
