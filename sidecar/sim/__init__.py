"""The platform and the agents on a laptop: what the demo shows and what tests run against. Loopback only."""

from sidecar.sim.agent import Agent, agent
from sidecar.sim.workspace import Workspace, workspace

__all__ = ["Agent", "Workspace", "agent", "workspace"]
