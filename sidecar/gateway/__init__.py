"""The gateway's API: which agents a caller may use, their cards, and a page that describes it all."""

from sidecar.gateway.here import Here
from sidecar.gateway.pages import Gateway
from sidecar.gateway.results import retold

__all__ = ["Gateway", "Here", "retold"]
