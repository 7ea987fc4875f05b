"""Names of headers in the form in which multidict finds them at once: it lowers and hashes any other each time."""

from typing import Final

from multidict import istr

ACCEPT: Final[str] = istr("accept")
CONNECTION: Final[str] = istr("connection")
CONTENT_ENCODING: Final[str] = istr("content-encoding")
CONTENT_LENGTH: Final[str] = istr("content-length")
CONTENT_TYPE: Final[str] = istr("content-type")
EXPECT: Final[str] = istr("expect")
HOST: Final[str] = istr("host")
ORIGIN: Final[str] = istr("origin")
REQUEST_ID: Final[str] = istr("x-request-id")
SEC_FETCH_SITE: Final[str] = istr("sec-fetch-site")
TRACEPARENT: Final[str] = istr("traceparent")
TRACESTATE: Final[str] = istr("tracestate")
TRANSFER_ENCODING: Final[str] = istr("transfer-encoding")
UPGRADE: Final[str] = istr("upgrade")
VIA: Final[str] = istr("via")

# What clients, platforms and servers say nearly always, as they spell it.
USUAL: Final[dict[str, str]] = {
    spelled: istr(spelled)
    for name in (
        *(
            "accept",
            "accept-encoding",
            "accept-language",
            "accept-ranges",
            "access-control-allow-origin",
            "age",
        ),
        *("authorization", "cache-control", "connection", "content-disposition", "content-encoding"),
        *(
            "content-length",
            "content-security-policy",
            "content-type",
            "cookie",
            "date",
            "etag",
            "expires",
            "host",
        ),
        *(
            "if-modified-since",
            "if-none-match",
            "keep-alive",
            "last-modified",
            "location",
            "origin",
            "pragma",
        ),
        *(
            "priority",
            "range",
            "referer",
            "sec-ch-ua",
            "sec-ch-ua-mobile",
            "sec-ch-ua-platform",
            "sec-fetch-dest",
        ),
        *(
            "sec-fetch-mode",
            "sec-fetch-site",
            "sec-fetch-user",
            "server",
            "set-cookie",
            "strict-transport-security",
        ),
        *("traceparent", "tracestate", "transfer-encoding", "upgrade", "user-agent", "vary", "via"),
        *("x-accel-buffering", "x-app-user-email", "x-content-type-options", "x-databricks-org-id"),
        *("x-forwarded-access-token", "x-forwarded-email", "x-forwarded-for", "x-forwarded-host"),
        *(
            "x-forwarded-preferred-username",
            "x-forwarded-proto",
            "x-forwarded-user",
            "x-process-time",
            "x-real-ip",
        ),
        *("x-request-id", "x-sidecar-stream"),
    )
    for spelled in (name, name.title())
}
