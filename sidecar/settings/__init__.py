"""The settings: read once, frozen, passed in."""

from sidecar.settings.load import load
from sidecar.settings.model import AgentBlock, Settings, Timeouts
from sidecar.settings.problems import Problem, SettingsError

__all__ = ["AgentBlock", "Problem", "Settings", "SettingsError", "Timeouts", "load"]
