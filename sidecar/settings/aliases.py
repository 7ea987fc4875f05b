"""Variables that existing apps have for an agent of theirs, taken for settings of ours."""

from typing import Final

BUILDER: Final = "builder"  # the agent that they are about
BUILDER_APP_URL: Final = "BUILDER_APP_URL"
ALIASES: Final[dict[str, str]] = {
    BUILDER_APP_URL: "url",
    "BUILDER_DATABRICKS_HOST": "workspace",
    "BUILDER_DATABRICKS_TOKEN": "token",
    "BUILDER_DATABRICKS_CLIENT_ID": "client_id",
    "BUILDER_DATABRICKS_CLIENT_SECRET": "client_secret",
}
"""Variable → the setting of agent `builder` that it is, where that is not set."""
