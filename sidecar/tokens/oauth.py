"""Client credentials at any identity provider: one POST for one bearer (RFC 6749, section 4.4)."""

import base64
import math
from typing import Any, Final
from urllib.parse import quote

from policies.credentials import Grant
from policies.faults import Fault
from policies.secret import Secret
from sidecar.control import Control, Told

UNKNOWN: Final = {"invalid_client", "unauthorized_client"}


async def granted(
    control: Control, endpoint: str, client_id: str, secret: str, *, scope: str = "", basic: bool = False
) -> Grant | Fault:
    """A new bearer. `basic`: the client says who it is in `Authorization`, else in the form."""
    form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
    headers = {}
    if basic:
        pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"  # both are form-encoded first
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    else:
        form |= {"client_id": client_id, "client_secret": secret}
    told = await control.ask("POST", endpoint, headers, form)
    return told if isinstance(told, Fault) else read(told)


def read(told: Told) -> Grant | Fault:
    """What an answer means; nothing of its words is kept."""
    if told.status == 429 or told.status >= 500:
        return Fault("throttled" if told.status == 429 else "failed", told.retry_after)
    body: Any = told.value
    if told.status >= 400:
        error = body.get("error") if isinstance(body, dict) else None
        return Fault("invalid_client" if error in UNKNOWN else "rejected")
    token = body.get("access_token") if isinstance(body, dict) else None
    if told.status != 200 or not isinstance(token, str) or not token:
        return Fault("garbage")
    life = body.get("expires_in")
    if isinstance(life, str) and life.isdecimal() and len(life) < 10:
        life = int(life)  # some providers say it so
    if isinstance(life, bool) or not isinstance(life, int | float) or not math.isfinite(life) or life <= 0:
        return Fault("garbage")
    return Grant(Secret(f"Bearer {token}"), float(life))
