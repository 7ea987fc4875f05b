"""The workspace we belong to, under the names that the platform and its SDK use."""

from sidecar.settings.group import Group, setting
from sidecar.settings.numbers import Port
from sidecar.settings.texts import Credential, SecretFile, Text, WorkspaceHost


class Workspace(Group):
    """The workspace"""

    app_name: Text | None = setting(None, "The app's name; the platform sets it.", name="DATABRICKS_APP_NAME")
    app_port: Port | None = setting(
        None, "The port that the platform's proxy calls.", name="DATABRICKS_APP_PORT"
    )
    workspace_host: WorkspaceHost | None = setting(None, "The workspace.", name="DATABRICKS_HOST")
    workspace_id: Text | None = setting(
        None, "Its id, which says whose apps are trusted.", name="DATABRICKS_WORKSPACE_ID"
    )
    client_id: Text | None = setting(None, "The app's service principal.", name="DATABRICKS_CLIENT_ID")
    client_secret: Credential | None = setting(
        None, "The service principal's secret.", name="DATABRICKS_CLIENT_SECRET"
    )
    client_secret_file: SecretFile | None = setting(
        None,
        "A file that holds it instead; read again at each refresh.",
        name="DATABRICKS_CLIENT_SECRET_FILE",
    )
    workspace_token: Credential | None = setting(
        None, "A token, where there is no service principal.", name="DATABRICKS_TOKEN"
    )
    workspace_token_file: SecretFile | None = setting(
        None, "A file that holds it instead; read again at each refresh.", name="DATABRICKS_TOKEN_FILE"
    )
    profile: Text | None = setting(
        None,
        "A profile of the Databricks command line, where there is neither.",
        name="DATABRICKS_CONFIG_PROFILE",
    )
    profile_file: Text | None = setting(
        None, "Where profiles stand, if not in `~/.databrickscfg`.", name="DATABRICKS_CONFIG_FILE"
    )
