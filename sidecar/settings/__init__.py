"""The settings: read once, frozen, passed in."""

from sidecar.settings.agent_block import AgentBlock
from sidecar.settings.calls import Timeouts
from sidecar.settings.load import load
from sidecar.settings.model import Settings
from sidecar.settings.problems import Problem, SettingsError

__all__ = ["AgentBlock", "Problem", "Settings", "SettingsError", "Timeouts", "load"]
