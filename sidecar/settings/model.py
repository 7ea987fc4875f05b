"""All settings as one frozen value."""

from typing import Final

from pydantic import Field, PrivateAttr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from policies import discovery
from sidecar.settings.agent_block import AgentBlock
from sidecar.settings.beside import Beside
from sidecar.settings.calls import Chain, Limits, Telling
from sidecar.settings.doors import Believed, Doors
from sidecar.settings.finding import Finding
from sidecar.settings.outside import Outside
from sidecar.settings.workspace import Workspace

PREFIX: Final = "SIDECAR_"

NO_EFFECT_YET: Final = frozenset(
    {
        "SIDECAR_ADMIN_USERS",
    }
)
"""Settings that are known and validated, and that nothing reads yet: said at start where one is set."""


class Settings(BaseSettings, Doors, Believed, Beside, Finding, Chain, Limits, Telling, Outside, Workspace):
    """Everything one process was told: read once by `sidecar.settings.load`, then passed in.

    Durations are seconds, sizes are bytes. Made by hand (in a test), it has the defaults of `serve` off the
    platform, and the environment is not looked at.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        enable_decoding=False,  # a comma list is no JSON
        populate_by_name=True,
    )

    agents: dict[str, AgentBlock] = Field(default_factory=dict)
    plugin_env: dict[str, str] = Field(default_factory=dict, repr=False)  # SIDECAR_PLUGIN_*, by whole name

    _sources: dict[tuple[str, ...], str] = PrivateAttr(default_factory=dict)
    _notices: list[str] = PrivateAttr(default_factory=list)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    @property
    def on_platform(self) -> bool:
        """Whether the front stands behind the platform's proxy."""
        if self.platform is not None:
            return self.platform == "on"
        return bool(self.app_name and self.workspace_host and self.client_id)

    @property
    def workspace(self) -> discovery.Workspace:
        """What decides on trust, and on the credential that `auto` means."""
        principal = self.client_id and self.client_secret
        held = bool(self.profile or (self.workspace_host and (principal or self.workspace_token)))
        developed = self.dev_token is not None
        return discovery.Workspace(self.workspace_host, self.workspace_id, held, developed)

    @property
    def notices(self) -> tuple[str, ...]:
        """What has to be said at start, a sentence each."""
        return tuple(self._notices)

    def source(self, *path: str) -> str:
        """Where a value comes from: a variable's name, or which default. `source("timeouts", "connect")`."""
        return self._sources.get(path, "default")
