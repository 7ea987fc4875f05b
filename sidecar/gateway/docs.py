"""A page that describes our routes, and the OpenAPI document that it is made from; read and made once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import orjson

from sidecar.gateway.openapi import document
from sidecar.pages import TYPES, file
from sidecar.whole import Page

UI: Final = Path(__file__).parents[1] / "ui" / "docs"
INDEX: Final = "/docs"


def pages() -> Mapping[str, Page]:
    """By path: `/docs`, what it is made of, and `/openapi.json`. Nothing in it comes from another place."""
    found = {
        f"{INDEX}/{path.name}": file(path.read_bytes(), TYPES[path.suffix]) for path in sorted(UI.iterdir())
    }
    found[INDEX] = found.pop(f"{INDEX}/index.html")
    found["/openapi.json"] = found[f"{INDEX}/openapi.json"] = file(
        orjson.dumps(document()), "application/json"
    )
    return found
