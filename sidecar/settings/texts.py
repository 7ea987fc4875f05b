"""Kinds that are one text: addresses, names, secrets."""

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from middleware.dialects.spoken import KINDS
from policies import discovery
from policies.identity import is_email
from policies.secret import Secret
from sidecar.settings.kinds import Accepts, grammar, reads, shown


def _address(text: str) -> str:
    return discovery.agent_url(text).url


def _endpoint(text: str) -> str:
    url = discovery.endpoint(text)
    if discovery.is_exposed(url):
        raise ValueError("it is plain http to another machine, and a secret would go there")
    return url


def _agent(text: str) -> str:
    return text if discovery.app_name(text) else discovery.agent_url(text).url


def _workspace(text: str) -> str:
    """With or without a scheme, a slash at the end, or what a person copies from a browser behind it."""
    parts = urlsplit(text if "://" in text else f"https://{text}")
    url = discovery.agent_url(f"{parts.scheme}://{parts.netloc}").url
    if discovery.is_exposed(url):
        raise ValueError("it is plain http to another machine, and the app's secret would go there")
    return url


def _credential(text: str) -> Secret:
    if not text.isascii() or not text.isprintable():
        raise ValueError("it holds a character that no credential has")
    return Secret(text)


def _path_key(text: str) -> Secret:
    if re.fullmatch(r"[0-9a-f]{32}", text) is None:
        raise ValueError("it is no key")
    return Secret(text)


def _profile(text: str) -> str:
    if re.fullmatch(r"profile:[\w.-]{1,64}", text) is None:
        raise ValueError("it does not name a profile")  # it may be somebody's token: never shown
    return text


def email(text: str) -> str:
    """As the doors judge the header that brings one."""
    if not is_email(text):
        raise ValueError(f"{shown(text)} is no e-mail address")
    return text


Text = Annotated[str, reads(str), Accepts("a text")]
Bind = Annotated[
    str,
    reads(grammar(r"[a-z0-9.-]{1,253}|[0-9a-f.]*:[0-9a-f:.]*", "address to bind", fold=True)),
    Accepts("an address of this machine: `127.0.0.1`, `0.0.0.0`, `::1`, `localhost`"),
]
Address = Annotated[
    str,
    reads(_address),
    Accepts("`http://` or `https://`, a host, perhaps a port and a path; no user name, query or fragment"),
]
AgentAddress = Annotated[
    str,
    reads(_agent),
    Accepts(
        "`http://` or `https://`, a host, perhaps a port and a path; no user name, query or fragment. Or "
        "`apps/<name>`: that app of the workspace"
    ),
]
Endpoint = Annotated[
    str, reads(_endpoint), Accepts("`https://`, a host, a path; plain `http://` to this machine only")
]
WorkspaceHost = Annotated[
    str, reads(_workspace), Accepts("the workspace's address, with or without `https://`")
]
KindName = Annotated[
    str,
    reads(grammar(r"[a-z][a-z0-9-]{0,62}", "kind", fold=True)),
    Accepts(", ".join(f"`{kind}`" for kind in sorted(KINDS)) + ", `auto`, or an installed dialect's name"),
]
Suffix = Annotated[
    str,
    reads(grammar(r"[A-Za-z0-9_-]{0,64}", "ending of a name")),
    Accepts("letters, digits, `_` and `-`; empty: any name"),
]
Email = Annotated[str, reads(email), Accepts("one e-mail address")]
Credential = Annotated[Secret, reads(_credential), Accepts("a secret, in printable ASCII")]
PathKey = Annotated[
    Secret, reads(_path_key), Accepts("32 digits of 0-9 and a-f, as `openssl rand -hex 16` makes them")
]
Profile = Annotated[
    str, reads(_profile), Accepts("`profile:<name>`, a profile of the Databricks command line")
]
SecretFile = Annotated[Path, reads(Path), Accepts("a file with the secret in it, and nothing else")]
