"""What a frontend is started with: the variables and arguments it would have had, ports and addresses aside."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from policies.discovery import CHAT_PATHS

LOOPBACK: Final = "127.0.0.1"
OURS: Final = "SIDECAR_"  # the sidecar's own variables, and its plug-ins'

# What platforms and frameworks read the port from, and the address to bind.
PORTS: Final = (
    "PORT",
    "DATABRICKS_APP_PORT",
    "STREAMLIT_SERVER_PORT",
    "GRADIO_SERVER_PORT",
    "UVICORN_PORT",
    "FLASK_RUN_PORT",
)
ADDRESSES: Final = ("STREAMLIT_SERVER_ADDRESS", "GRADIO_SERVER_NAME", "UVICORN_HOST", "FLASK_RUN_HOST")
# An address to bind to some frameworks (Dash, SvelteKit, Nuxt; Next's own server), something else to others: a value
# that is no address stays. Only `HOST` is set where it was not; every shell and container has a `HOSTNAME` already.
PERHAPS: Final = ("HOST", "HOSTNAME")
SECRETS: Final = (
    "DATABRICKS_CLIENT_SECRET",
    "DATABRICKS_CLIENT_SECRET_FILE",
    "DATABRICKS_TOKEN",
    "DATABRICKS_TOKEN_FILE",
    "BUILDER_DATABRICKS_CLIENT_SECRET",
    "BUILDER_DATABRICKS_TOKEN",
)
PROXIES: Final = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")

_ADDRESS: Final = re.compile(r"localhost|[0-9]{1,3}(\.[0-9]{1,3}){3}|\[?[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*\]?")
_ENDING: Final = re.compile(rf"(?:{'|'.join(CHAT_PATHS)})?/*$")
# They wait for what they started and end with its code, but would not hand a signal on to it, or not unharmed.
_SHELLS: Final = frozenset({"sh", "ash", "bash", "dash", "ksh", "zsh"})
_MANAGERS: Final = frozenset({"npm", "npx", "pnpm", "pnpx", "yarn", "yarnpkg"})
_SCRIPT: Final = re.compile(r"(-cli)?\.[cm]?js$")


def environment(
    inherited: Mapping[str, str], *, port: int, agents: Mapping[str, str], secrets: bool
) -> dict[str, str]:
    """The variables of the child.

    `port`     the one loopback port that it is to listen on
    `agents`   for each name under which it knows an agent, where that agent is for it
    `secrets`  whether the app's own credentials stay in
    """
    kept = {name: text for name, text in inherited.items() if not name.upper().startswith(OURS)}
    if not secrets:
        kept = {name: text for name, text in kept.items() if name not in SECRETS}
    perhaps = {"HOST": LOOPBACK} | {name: kept[name] for name in PERHAPS if name in kept}
    addresses = (*ADDRESSES, *(name for name, text in perhaps.items() if _ADDRESS.fullmatch(text.strip())))
    given = dict.fromkeys(PORTS, str(port)) | dict.fromkeys(addresses, LOOPBACK) | _past_proxies(kept)
    return kept | given | {name: url + ending(kept.get(name, "")) for name, url in agents.items()}


def _past_proxies(kept: Mapping[str, str]) -> dict[str, str]:
    """Calls to an agent go to this machine now, and have a key in their path: no outgoing proxy may see them."""
    if not any(kept.get(name) for name in PROXIES):
        return {}
    listed = [part.strip() for part in (kept.get("no_proxy") or kept.get("NO_PROXY") or "").split(",")]
    if "*" not in listed:
        listed += [host for host in (LOOPBACK, "localhost") if host not in listed]
    return dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join(filter(None, listed)))


def ending(address: str) -> str:
    """What an app may rely on at the end of its agent's address: the chat path, slashes."""
    found = _ENDING.search(address.strip())
    return found[0] if found else ""


class Arguments(NamedTuple):
    """A command as it is run. `replaced`: which arguments (1 is the first) had the front's own port in them."""

    command: tuple[str, ...]
    replaced: tuple[int, ...]


def arguments(command: Sequence[str], *, port: int, front: int, as_is: bool) -> Arguments:
    """The command with `{port}` and `{host}` filled in, and the front's own port replaced.

    The platform fills in `$DATABRICKS_APP_PORT` before we see it, and that is the front's: an argument that is
    this number, or ends with it after `=` or `:`, gets the child's port, unless all is to stay `as_is`.
    """
    filled = [argument.replace("{port}", str(port)).replace("{host}", LOOPBACK) for argument in command]
    replaced = []
    taken = re.compile(rf"(^|[=:]){front}$")
    for number, argument in enumerate(command[1:], 1):
        if not as_is and taken.search(argument):
            filled[number] = taken.sub(rf"\g<1>{port}", filled[number])
            replaced.append(number)
    return Arguments(tuple(filled), tuple(replaced))


def is_launcher(argv: Sequence[str]) -> bool:
    """Whether a process only waits for what it started: shells, `npm start` and the like."""
    first = argv[0] if argv else ""
    if first.startswith("npm "):  # it puts all of its words into the first
        return True
    names = [_SCRIPT.sub("", word.rpartition("/")[2]) for word in argv[:2]]
    if names and names[0] == "node":
        return names[-1] in _MANAGERS
    return bool(names) and names[0].lstrip("-") in _SHELLS | _MANAGERS


def exit_code(returned: int) -> int:
    """A process's end as a shell tells it: 128 and the signal's number where a signal ended it."""
    return 128 - returned if returned < 0 else returned
