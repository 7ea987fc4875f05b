"""`python -P -m sidecar`: the command, where a module is wanted."""

from sidecar.cli import main
from sidecar.provenance import insist

insist()
main()
