"""An A2A agent as a LangChain tool: give `a2a_tools()` to any agent that calls tools."""

from gateway import list_agents, send_message
from langchain_core.tools import StructuredTool


def a2a_tool(name, description):
    """The tool that asks this agent."""

    def ask(text: str) -> str:
        return send_message(name, text)

    return StructuredTool.from_function(
        ask, name=name.replace("-", "_"), description=f"Asks the agent {name}: {description}"
    )


def a2a_tools():
    """A tool for each agent that the caller may use."""
    return [a2a_tool(agent["name"], agent["description"]) for agent in list_agents()]
