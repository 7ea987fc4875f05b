"""What the sidecar costs, beside its peers, in one run: `make bench` (see docs/performance.md)."""
