"""What it takes to fetch one bearer: as plain values, and as the environment of the helper that does it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from policies.credentials import Grant
from policies.faults import Fault
from policies.secret import Secret
from sidecar import trust

# What a helper may inherit: how to find programs, homes, certificates, and the way out. No DATABRICKS_*.
INHERITED: Final = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "LC_ALL"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    }
)
LONGEST_FILE: Final = 64 << 10


@dataclass(frozen=True)
class Credential:
    """One identity, in one of four ways; or, with neither host nor endpoint nor profile, a token sent as it stands.

    `name`     what logs, metrics and errors call it
    `host`     the workspace's address, with or without https://
    `client_id`, `client_secret`   a service principal (OAuth client credentials)
    `token`    a personal access token at that host; without a host: the bearer itself
    `…_file`   where the secret is read from instead, again at each refresh
    `endpoint`, `scope`, `basic`   instead of a host: another identity provider's token endpoint, and how it is
               told client id and secret: in the form, or in `Authorization`
    `public`   that endpoint is only called at an address that everybody can reach
    `profile`, `config_file`   instead of all these: a profile of the Databricks command line
    """

    name: str
    host: str = ""
    client_id: str = ""
    client_secret: Secret | None = None
    client_secret_file: str = ""
    token: Secret | None = None
    token_file: str = ""
    endpoint: str = ""
    scope: str = ""
    basic: bool = False
    public: bool = False
    profile: str = ""
    config_file: str = ""
    inherited: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False, compare=False)

    @property
    def static(self) -> bool:
        """Whether there is nobody to ask: the token is the bearer."""
        return not (self.host or self.profile or self.endpoint)

    @property
    def title(self) -> str:
        where = self.host or self.endpoint or (self.profile and f"profile {self.profile}")
        return f"{self.name!r} ({urlsplit(where).hostname or where})" if where else repr(self.name)


def grant(credential: Credential) -> Grant | Fault:
    """The bearer of a static credential, read from its file where it has one."""
    token = _secret(credential.token, credential.token_file)
    return Grant(Secret(f"Bearer {token}"), None) if token else Fault("unreadable")


def environment(credential: Credential) -> dict[str, str] | Fault:
    """Everything the helper sees: this one credential, and nothing that bends it to another workspace."""
    stated = {
        "DATABRICKS_HOST": credential.host,
        "DATABRICKS_CONFIG_PROFILE": credential.profile,
        "DATABRICKS_CONFIG_FILE": credential.config_file,
    }
    if credential.client_id:
        secret = _secret(credential.client_secret, credential.client_secret_file)
        if not secret:
            return Fault("unreadable" if credential.client_secret_file else "not_configured")
        stated |= {
            "DATABRICKS_AUTH_TYPE": "oauth-m2m",
            "DATABRICKS_CLIENT_ID": credential.client_id,
            "DATABRICKS_CLIENT_SECRET": secret,
        }
    elif credential.token or credential.token_file:
        token = _secret(credential.token, credential.token_file)
        if not token:
            return Fault("unreadable")
        stated |= {"DATABRICKS_AUTH_TYPE": "pat", "DATABRICKS_TOKEN": token}
    elif not credential.profile:
        return Fault("not_configured")
    inherited = {name: value for name, value in credential.inherited.items() if name in INHERITED}
    return inherited | trust.environment() | {name: value for name, value in stated.items() if value}


def secret(credential: Credential) -> str:
    """The client secret, read from its file where it has one; empty where there is none to be had."""
    return _secret(credential.client_secret, credential.client_secret_file)


def _secret(stated: Secret | None, file: str) -> str:
    if not file:
        return stated.reveal() if stated else ""
    try:
        with Path(file).open("rb") as opened:
            return opened.read(LONGEST_FILE).decode().strip()
    except (OSError, UnicodeDecodeError):
        return ""
