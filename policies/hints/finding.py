"""Why an agent that somebody registered could not be found, judged or understood, or waits for somebody."""

from typing import Final

from policies.hints.facts import Cause, always

CAUSES: Final[dict[str, tuple[Cause, ...]]] = {
    "agent_auth_required": (
        Cause(
            always,
            "The task of {agent} waits for an authorization{because}.",
            "The agent's own words say where its user gives it; then ask again.",
        ),
    ),
    "agent_card_invalid": (
        Cause(
            always,
            "The card of {agent} at {host} cannot be read{because}.",
            "`curl -i {origin}/.well-known/agent-card.json` shows it; it has to be one JSON object.",
        ),
    ),
    "agent_card_elsewhere": (
        Cause(
            always,
            "The card of {agent} leads to another place than {host}.",
            "Have the agent say its own address in its card, or list the origin in SIDECAR_UC_ORIGINS.",
        ),
    ),
    "agent_address_refused": (
        Cause(
            always,
            "The address that is registered for {agent} may not be called{because}.",
            "Register a public https address, or list its origin in SIDECAR_UC_ORIGINS.",
        ),
    ),
    "connection_incomplete": (
        Cause(
            always,
            "The connection of {agent} lacks an option{because}.",
            "`databricks connections get <connection>` shows what it has; `host` and `base_path` are needed.",
        ),
    ),
    "app_unresolved": (
        Cause(
            always,
            "The workspace did not say where the app of {agent} is{because}.",
            "`databricks apps get <app>` shows it; this app's service principal needs a permission on it.",
        ),
    ),
    "catalog_unavailable": (
        Cause(
            always,
            "The workspace did not say which agents there are{because}.",
            "It is asked anew by the next call; `curl -i $DATABRICKS_HOST/api/2.1/unity-catalog/connections`.",
        ),
    ),
}
