"""Why a credential could not be fetched: a closed list, each with its cause and the next step, for people.

Nothing that the identity provider or databricks-sdk said is ever repeated: it may hold a client id, or worse.
"""

from typing import Final, NamedTuple


class Meaning(NamedTuple):
    """`fatal`: only a person can end it, so it is tried again once a minute and told at `/readyz`."""

    fatal: bool
    cause: str
    step: str


class Fault(NamedTuple):
    """One failed attempt: a key of FAULTS, and the seconds for which the provider asks to be left alone."""

    code: str
    retry_after: float | None = None


_BY_ITSELF: Final = "It is tried again by itself; if it lasts, look at the workspace's status."

FAULTS: Final[dict[str, Meaning]] = {
    "invalid_client": Meaning(
        True,
        "the identity provider does not know this client id and secret (invalid_client)",
        "Compare the client id and secret with the service principal's; "
        "an app that was deleted and made again has a new one.",
    ),
    "rejected": Meaning(
        True,
        "the identity provider refused the credential",
        "Is the service principal active in this workspace, and its secret not revoked?",
    ),
    "not_configured": Meaning(
        True,
        "databricks-sdk finds no complete credential in it",
        "Set DATABRICKS_HOST with DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET, or DATABRICKS_TOKEN, "
        "or name a profile that `databricks auth profiles` lists.",
    ),
    "not_a_bearer": Meaning(
        True,
        "what came is no bearer token that a header can carry",
        "A token is printable, has no spaces or line breaks, and is at most 16 KiB long.",
    ),
    "plaintext": Meaning(
        True,
        "the identity provider's address is plain http",
        "Use https in DATABRICKS_HOST; only a loopback address may do without.",
    ),
    "unreadable": Meaning(
        False,
        "the file that holds its secret cannot be read, or is empty",
        "Check the path in the variable that ends with _FILE, and its permissions.",
    ),
    "unreachable": Meaning(
        False,
        "the identity provider cannot be reached",
        "Check DATABRICKS_HOST: `curl -i $DATABRICKS_HOST/oidc/.well-known/oauth-authorization-server`.",
    ),
    "tls": Meaning(
        False,
        "the identity provider's certificate was not accepted",
        "An authority of your own belongs into the file that REQUESTS_CA_BUNDLE names.",
    ),
    "timeout": Meaning(False, "the identity provider did not answer in time", _BY_ITSELF),
    "throttled": Meaning(False, "the identity provider asks to be left alone for a while (429)", _BY_ITSELF),
    "failed": Meaning(False, "the identity provider failed (5xx)", _BY_ITSELF),
    "garbage": Meaning(
        False,
        "the identity provider answered with something that is no token",
        "Is DATABRICKS_HOST the address of a workspace?",
    ),
    "helper_died": Meaning(
        False,
        "the helper process ended without an answer",
        "Is agent-sidecar installed for this Python, and is there memory left?",
    ),
}


def meaning(fault: Fault) -> Meaning:
    return FAULTS[fault.code]
