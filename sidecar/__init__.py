"""The process: settings, sockets, clocks, the SDK. Authors of plug-ins import `sidecar.api` and nothing else."""
