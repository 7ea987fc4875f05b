"""Somebody at a laptop's front, as if the platform had said so: SIDECAR_DEV_USER, and a token for them."""

from typing import Final

from middleware.exchange import Headers
from policies import access, forwarded
from policies.agent import Agent, Caller
from policies.secret import Secret
from sidecar.settings import Settings
from sidecar.tokens.configured import USER
from sidecar.tokens.source import Tokens

CREDENTIAL: Final = Agent(USER, "")


class Player:
    """Whoever comes to the front is this user; but no page of another site can come as them."""

    def __init__(self, email: str, tokens: Tokens | None) -> None:
        """`tokens` holds the user's own, where SIDECAR_DEV_TOKEN says whose profile it is of."""
        self.email, self.tokens = email, tokens

    async def caller(self, headers: Headers, method: str, rules: access.Gate) -> Caller:
        """Nobody where another site's page asks, as on the platform, whose session such a page has no part in.

        Refusal 503 `credential_unavailable` where there has to be a token and none is to be had.
        """
        foreign = access.browser(rules, headers, method, "relay") is not None
        if foreign and not forwarded.opens(method, headers):
            return Caller("front")
        token = None
        if self.tokens:
            bearer = self.tokens.ready(CREDENTIAL) or await self.tokens.bearer(CREDENTIAL)
            token = Secret(bearer.partition(" ")[2])
        return Caller("front", True, self.email, self.email, token)


def player(settings: Settings, tokens: Tokens) -> Player | None:
    """Nobody, unless the settings name one."""
    return Player(settings.dev_user, tokens if settings.dev_token else None) if settings.dev_user else None
