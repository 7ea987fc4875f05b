"""The helper process: has databricks-sdk fetch one bearer, says it in one line of JSON, and is gone.

The SDK lives here and nowhere else: its token call has no timeout and holds a lock for ever, it takes 50 MB,
and its import stalls a loop. `python -P -m sidecar.tokens [seconds]` prints one of
`{"authorization": "Bearer …", "life": 3599.8}` (`life` is null where no end is named),
`{"fault": "<key of policies.faults>", "retry_after": null}`,
and never a word of the SDK's or the provider's.
"""

import json
import os
import signal
import ssl
import sys
from datetime import datetime
from functools import partialmethod
from importlib.util import find_spec, module_from_spec
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

import requests

from policies.faults import Fault

UNKNOWN_CLIENT: Final = {"invalid_client", "unauthorized_client"}
LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}


class Settled(Exception):
    """An exchange that decides the matter; the SDK may swallow it, `Exchanges.fault` remembers."""


class Exchanges:
    """Stands between the SDK and its connections: a deadline for each request, a meaning for each answer."""

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.fault: Fault | None = None  # of the last one
        self.any = self.posted = False
        self.send = requests.Session.send
        requests.Session.send = self.replacement()  # type: ignore[method-assign]

    def replacement(self) -> Any:
        return lambda session, request, **options: self.sent(session, request, options)

    def sent(self, session: Any, request: Any, options: dict[str, Any]) -> Any:
        self.any = True
        self.posted |= request.method == "POST"
        where = urlsplit(request.url)
        if where.scheme != "https" and where.hostname not in LOOPBACK and "Authorization" in request.headers:
            self.settle("plaintext")
        options["timeout"] = self.patience
        try:
            response = self.send(session, request, **options)
        except requests.exceptions.SSLError:
            self.settle("tls")
        except requests.Timeout:
            self.settle("timeout")
        except requests.ConnectionError:
            self.settle("unreachable")
        if response.status_code == 429 or response.status_code >= 500:
            code = "throttled" if response.status_code == 429 else "failed"
            self.settle(code, seconds(response.headers.get("Retry-After")))
        if request.method == "POST" and response.status_code >= 400:
            self.settle("invalid_client" if error(response) in UNKNOWN_CLIENT else "rejected")
        self.fault = None
        return response

    def settle(self, code: str, retry_after: float | None = None) -> NoReturn:
        self.fault = Fault(code, retry_after)
        raise Settled


def seconds(text: str | None) -> float | None:
    return float(text) if text and text.isdigit() and len(text) < 7 else None


def error(response: Any) -> str:
    try:
        body = response.json()
        return str(body.get("error", body.get("errorCode")))
    except (ValueError, AttributeError):
        return ""


def believing(file: str) -> None:
    """Let requests believe the authorities in this file beside its own, on the way through a proxy too."""
    context = ssl.create_default_context()
    context.load_verify_locations(file)
    adapter = requests.adapters.HTTPAdapter
    for name in ("init_poolmanager", "proxy_manager_for"):
        made = partialmethod(getattr(adapter, name), ssl_context=context)
        setattr(adapter, name, made)


def fetched(patience: float) -> dict[str, Any]:
    """One bearer, or one fault."""
    Config, exchanges = sdk(), Exchanges(patience)
    try:
        return bearer(configured(Config, exchanges, patience))
    except Exception:  # whatever it says is not repeated: it names hosts, ids and variables
        fault = exchanges.fault or Fault("garbage" if exchanges.any else "not_configured")
        return {"fault": fault.code, "retry_after": fault.retry_after}


def sdk() -> Any:
    """The SDK's settings, without its clients for every service: importing those takes four times as long."""
    if package := find_spec("databricks.sdk"):
        sys.modules["databricks.sdk"] = module_from_spec(package)  # it is there, and its __init__ has not run
    try:
        from databricks.sdk.config import Config
    except (ImportError, AttributeError):  # a release that is cut in another way
        for name in [name for name in sys.modules if name.startswith("databricks.sdk")]:
            del sys.modules[name]
        from databricks.sdk.config import Config
    return Config


def configured(Config: Any, exchanges: Exchanges, patience: float) -> Any:
    """Settings from the environment; a host without metadata is asked at the usual address."""
    usual: dict[str, Any] = {"http_timeout_seconds": patience, "retry_timeout_seconds": 1}
    try:
        return Config(**usual)
    except ValueError:
        if exchanges.posted or exchanges.fault or os.environ.get("DATABRICKS_AUTH_TYPE") != "oauth-m2m":
            raise
        host = os.environ["DATABRICKS_HOST"].rstrip("/")
        host = host if "://" in host else f"https://{host}"
        return Config(discovery_url=f"{host}/oidc/.well-known/oauth-authorization-server", **usual)


def bearer(settings: Any) -> dict[str, Any]:
    if settings.auth_type == "pat":
        return {"authorization": settings.authenticate()["Authorization"], "life": None}
    token = settings.oauth_token()  # not `authenticate()` as well: that asks again for a life of under 40 s
    life = (token.expiry - datetime.now(token.expiry.tzinfo)).total_seconds() if token.expiry else None
    return {"authorization": f"{token.token_type or 'Bearer'} {token.access_token}", "life": life}


def main() -> None:
    deadline = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    signal.setitimer(signal.ITIMER_REAL, deadline + 1)  # nobody may be left to kill us
    with os.fdopen(os.dup(1), "w") as pipe:
        os.dup2(2, 1)  # whatever the SDK or its children print goes elsewhere
        if file := os.environ.get("SIDECAR_CA_FILE"):
            believing(file)
        pipe.write(json.dumps(fetched(deadline)) + "\n")


if __name__ == "__main__":
    main()
