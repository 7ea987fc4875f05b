"""Somebody at a laptop's front, as if the platform had said so: SIDECAR_DEV_USER, and a token for them."""

from typing import Final

from policies.agent import Agent, Caller
from policies.secret import Secret
from sidecar.settings import Settings
from sidecar.tokens.configured import USER
from sidecar.tokens.source import Tokens

CREDENTIAL: Final = Agent(USER, "")


class Player:
    """Whoever comes to the front is this user."""

    def __init__(self, email: str, tokens: Tokens | None) -> None:
        """`tokens` holds the user's own, where SIDECAR_DEV_TOKEN says whose profile it is of."""
        self.email, self.tokens = email, tokens

    async def caller(self) -> Caller:
        """Refusal 503 `credential_unavailable` where there has to be a token and none is to be had."""
        token = None
        if self.tokens:
            bearer = self.tokens.ready(CREDENTIAL) or await self.tokens.bearer(CREDENTIAL)
            token = Secret(bearer.partition(" ")[2])
        return Caller("front", True, self.email, self.email, token)


def player(settings: Settings, tokens: Tokens) -> Player | None:
    """Nobody, unless the settings name one."""
    return Player(settings.dev_user, tokens if settings.dev_token else None) if settings.dev_user else None
