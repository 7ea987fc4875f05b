"""Why an agent was not reached."""

from typing import Final

from policies.hints.facts import START, Cause, always, both, dns, hosted, loopback, refused, says

CAUSES: Final[dict[str, tuple[Cause, ...]]] = {
    "agent_unreachable": (
        Cause(
            both(dns, hosted),
            "The name {name} of {agent} does not resolve: an app that is stopped or deleted has no address.",
            START + " If it is gone, {url} holds an old address.",
        ),
        Cause(
            dns,
            "The name {name} of {agent} does not resolve.",
            "Look for a slip in {url}; `getent hosts {name}` asks the resolver.",
        ),
        Cause(
            both(refused, loopback),
            "Nothing listens at {host}: {agent} is not running.",
            "Start it there (mlflow's templates: `uv run start-server --port <port>`),"
            " or set {url} to where it is.",
        ),
        Cause(
            refused,
            "The connection to {host} was refused: {agent} is not running there.",
            "Compare {url} with where the agent listens; `curl -i {origin}/` tries it.",
        ),
        Cause(hosted, "There is no connection to {agent} at {host}{because}.", START),
        Cause(
            always,
            "There is no connection to {agent} at {host}{because}.",
            "`curl -i {origin}/` tries it from this machine; compare {url}.",
        ),
    ),
    "agent_unavailable": (
        Cause(
            hosted,
            "{Agent} at {host} did not come up while the call waited for it.",
            START + " One that only starts slowly needs a larger SIDECAR_COLD_START_BUDGET.",
        ),
        Cause(
            always,
            "{Agent} at {host} did not come up while the call waited for it.",
            "Start it; one that only starts slowly needs a larger SIDECAR_COLD_START_BUDGET.",
        ),
    ),
    "agent_connect_timeout": (
        Cause(
            hosted,
            "Connecting to {agent} at {host} took longer than SIDECAR_TIMEOUTS__CONNECT allows.",
            START,
        ),
        Cause(
            always,
            "Connecting to {agent} at {host} took longer than SIDECAR_TIMEOUTS__CONNECT allows.",
            "Look for a firewall in between; else raise SIDECAR_TIMEOUTS__CONNECT.",
        ),
    ),
    "agent_tls_error": (
        Cause(
            says("expired", "not yet valid"),
            "The certificate of {agent} at {host} is out of date, or this machine's clock is wrong.",
            "Compare `date -u` with what"
            " `openssl s_client -connect {peer} </dev/null | openssl x509 -noout -dates` shows.",
        ),
        Cause(
            says("hostname", "mismatch", "not valid for"),
            "The certificate that {host} shows for {agent} is another name's.",
            "Set {url} to the name that stands in the certificate.",
        ),
        Cause(
            says("certificate chain", "local issuer", "unknown ca"),
            "The certificate of {agent} at {host} is signed by an authority that is not known here.",
            "Put the authority's own certificate into the file that SIDECAR_CA_FILE names.",
        ),
        Cause(
            says("self-signed", "self signed"),
            "The certificate of {agent} at {host} is signed by nobody but itself.",
            "If it is the right one, put it into the file that SIDECAR_CA_FILE names:"
            " `openssl s_client -connect {peer} </dev/null | openssl x509` prints it.",
        ),
        Cause(
            always,
            "TLS with {agent} at {host} failed{because}; plain http is not tried instead.",
            "`openssl s_client -connect {peer}` shows what is offered;"
            " an authority of your own belongs into the file that SIDECAR_CA_FILE names.",
        ),
    ),
    "agent_protocol_error": (
        Cause(
            says("content type"),
            "{Agent} at {host} answered a chat with neither JSON nor an event stream{because}.",
            "Compare {url} with the agent's own address: it must serve /invocations or /responses there.",
        ),
        Cause(
            always,
            "{Agent} at {host} answered with what is no valid HTTP{because}.",
            "`curl -i --http1.1 {origin}/` shows it; something in between may be the one that answers.",
        ),
    ),
}
