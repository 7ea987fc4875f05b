"""The platform and the agents on a laptop: what the demo shows and what tests run against. Loopback only."""

from sidecar.sim.a2a import A2AAgent, a2a, a2a_card
from sidecar.sim.agent import Agent, agent
from sidecar.sim.builder import Builder, builder
from sidecar.sim.workspace import Workspace, workspace

__all__ = ["A2AAgent", "Agent", "Builder", "Workspace", "a2a", "a2a_card", "agent", "builder", "workspace"]
