"""Names of headers that every request is asked for, in the form in which multidict finds them at once."""

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
