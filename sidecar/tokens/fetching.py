"""One refresh of any credential: by the helper process for a workspace, by a POST of ours anywhere else."""

import asyncio

from policies.credentials import Grant
from policies.faults import Fault
from sidecar.control import Control
from sidecar.tokens import credential as credentials
from sidecar.tokens import helper, oauth
from sidecar.tokens.credential import Credential


class Fetching:
    """Satisfies `sidecar.tokens.keeper.Fetch`. `deadline` is seconds for one refresh."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._controls = {public: Control(deadline=deadline, public=public) for public in (False, True)}

    async def __call__(self, credential: Credential) -> Grant | Fault:
        if not credential.endpoint:
            return await helper.fetch(credential, self._deadline)
        secret = await asyncio.to_thread(credentials.secret, credential)
        if not secret:
            return Fault("unreadable" if credential.client_secret_file else "not_configured")
        return await oauth.granted(
            self._controls[credential.public],
            credential.endpoint,
            credential.client_id,
            secret,
            scope=credential.scope,
            basic=credential.basic,
        )

    async def aclose(self) -> None:
        for control in self._controls.values():
            await control.aclose()
