"""What the process keeps of calls: counters, one line of the log each, and the last few hundred to see."""

from sidecar.telemetry.log import Log
from sidecar.telemetry.record import Record
from sidecar.telemetry.recorder import Telemetry
from sidecar.telemetry.tap import owner

__all__ = ["Log", "Record", "Telemetry", "owner"]
