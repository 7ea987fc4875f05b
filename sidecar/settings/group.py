"""What a group of settings is, and how one setting is written down."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Group(BaseModel):
    """Settings of one concern. The first line of a group's docstring is its heading in docs/settings.md."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True
    )


def setting(
    default: Any, effect: str, fails: str = "", *, name: str | None = None, empty: bool = False
) -> Any:
    """One setting: what it does, and what one sees where its limit is met.

    Its variable is `SIDECAR_` and the field's name, or `name`. `empty`: an empty text is a value of it.
    """
    return Field(
        default=default,
        description=effect,
        validation_alias=name,
        json_schema_extra={"fails": fails, "empty": empty},
    )
