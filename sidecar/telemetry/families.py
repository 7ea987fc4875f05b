"""The metrics there are, in one table: the exposition and docs/metrics.md are both made from it."""

from typing import Final, Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram", "info"]


class Family(NamedTuple):
    """One metric. `labels` in the order in which values are given."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    values: str = ""  # where the labels' values come from, for people


AGENT: Final = "`agent`: a known agent's name, `none`, or `other`"

FAMILIES: Final[dict[str, Family]] = {
    family.name: family
    for family in (
        Family(
            "sidecar_requests_total",
            "counter",
            ("door", "agent", "route", "outcome"),
            "Requests that have ended, by how they ended.",
            f"`door`: front, egress, admin; {AGENT}; `route`: a path template or `other`;"
            " `outcome`: the closed list of [errors](errors.md)",
        ),
        Family(
            "sidecar_request_duration_seconds",
            "histogram",
            ("agent",),
            "Of calls: from the request's head to the last byte of the answer.",
            AGENT,
        ),
        Family(
            "sidecar_time_to_first_byte_seconds",
            "histogram",
            ("agent",),
            "Of calls: from the request's head to the first byte of the answer; keepalives do not count.",
            AGENT,
        ),
        Family(
            "sidecar_response_bytes_total",
            "counter",
            ("door",),
            "Bytes of answers' bodies, counted when the answer ends.",
        ),
        Family("sidecar_requests_active", "gauge", ("door",), "Requests that are being answered now."),
        Family("sidecar_tunnels_active", "gauge", ("door",), "WebSockets open now."),
        Family("sidecar_streams_active", "gauge", ("agent",), "Event streams open to callers now.", AGENT),
        Family(
            "sidecar_stream_mode_total",
            "counter",
            ("mode",),
            "Answers to chats, by how they were brought to the caller.",
            "`mode`: raw, translated, synthesized, collected",
        ),
        Family(
            "sidecar_stream_refusals_total",
            "counter",
            ("agent",),
            "Answers by which an agent refused to stream, and was asked once more for a whole one.",
            AGENT,
        ),
        Family(
            "sidecar_upstream_attempts_total",
            "counter",
            ("agent", "sent", "result"),
            "HTTP exchanges with agents, and with the app behind the front, repeated ones included.",
            f"{AGENT}: the app behind the front; `sent`: none, partial, full; `result`: `answered` or an outcome, "
            "which is the limit's own (`agent_unavailable`, `agent_total_timeout` …) where one of ours cut it off",
        ),
        Family(
            "sidecar_cold_starts_total",
            "counter",
            ("agent",),
            "Calls that waited for an agent to start.",
            AGENT,
        ),
        Family(
            "sidecar_ambiguous_bodies_total",
            "counter",
            ("result",),
            "Chats that had both `input` and a list of `messages`: some client means another than is answered.",
            "`result`: input (`messages` were left out), both (sent on as it came), refused",
        ),
        Family(
            "sidecar_identity_headers_removed_total",
            "counter",
            ("reason",),
            "Identity headers that were taken off a request.",
            "`reason`: not_believed, malformed",
        ),
        Family(
            "sidecar_frontend_up",
            "gauge",
            (),
            "Whether the app behind the front can be asked: 1 where it took a connection when it was looked for, at "
            "most a second before this; 0 where it did not, and where `run` has started it and it has not yet "
            "answered `GET /`, or has ended. Only where there is such an app.",
        ),
        Family(
            "sidecar_token_refreshes_total",
            "counter",
            ("credential", "result"),
            "Attempts to get a token.",
            "`credential`: the credential's name; `result`: ok, or why it failed",
        ),
        Family(
            "sidecar_token_expiry_timestamp_seconds",
            "gauge",
            ("credential",),
            "When the token at hand expires, in seconds since 1970; 0 where there is none.",
        ),
        Family(
            "sidecar_token_refresh_seconds_total",
            "counter",
            ("credential",),
            "Time spent in getting tokens.",
        ),
        Family(
            "sidecar_plugin_failures_total",
            "counter",
            ("plugin",),
            "Calls that failed because a plug-in raised.",
            "`plugin`: its name in SIDECAR_MIDDLEWARE",
        ),
        Family(
            "sidecar_log_lines_dropped_total",
            "counter",
            (),
            "Log lines given up because nobody read standard output.",
        ),
        Family(
            "sidecar_build_info",
            "info",
            ("version", "python", "aiohttp", "parser"),
            "What is running; always 1.",
            "`parser`: what reads HTTP from callers and agents",
        ),
    )
}

PROCESS: Final = (
    ("process_cpu_seconds_total", "counter", "Processor time, of user and system."),
    ("process_resident_memory_bytes", "gauge", "Resident memory."),
    ("process_virtual_memory_bytes", "gauge", "Virtual memory."),
    ("process_start_time_seconds", "gauge", "When the process started, in seconds since 1970."),
    ("process_open_fds", "gauge", "Open file descriptors."),
    ("process_max_fds", "gauge", "How many file descriptors may be open."),
)
