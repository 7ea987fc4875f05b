"""The settings of finding agents that nobody has named here, and of how we are found ourselves."""

from sidecar.settings.group import Group, setting
from sidecar.settings.lists import Origins
from sidecar.settings.numbers import Flag
from sidecar.settings.texts import Address, Suffix


class Finding(Group):
    """Finding agents"""

    uc_discovery: Flag = setting(
        False,
        "Whether agents are looked for among the HTTP connections of Unity Catalog as well, with the caller's "
        "own token and rights. An agent that stands in the settings wins over a connection of its name.",
        "401 `user_token_required`, 403 `agent_access_denied`, 503 `catalog_unavailable`. Without "
        "`DATABRICKS_HOST`: exit 78.",
    )
    uc_suffix: Suffix = setting(
        "-a2a",
        "How a connection's name ends if it is an agent's; the agent's name is what stands in front. Empty: "
        "every HTTP connection is an agent's.",
        empty=True,
    )
    uc_origins: Origins = setting(
        (),
        "Origins that a connection or a card may lead to as if they stood in the settings: they get the "
        "caller's token or the app's credential where the connection says so, and may be private addresses.",
        "Others: no credential of ours, public addresses only; 502 `agent_address_refused`, "
        "`agent_card_elsewhere`.",
    )
    public_url: Address | None = setting(
        None,
        "The front's address as its callers know it. The cards of agents say it, wherever they are asked for under "
        "`/api/agents` (with an egress key in front: that door's address). By default it is what the platform's "
        "proxy says, else the address by which the caller came.",
    )
