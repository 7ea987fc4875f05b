"""JSON with the right words in the wrong places: what a reader of foreign answers has to live with.

Values are grown from a number, which is many times faster than drawing every part of them.
"""

from random import Random
from typing import Any

from hypothesis import strategies as st

KEYS = """id type object status output choices message content text role tool_calls function arguments annotations
refusal summary finish_reason index usage metadata trace_id custom_outputs error response item item_id delta
created_at model name code""".split()  # noqa: SIM905
WORDS = """message function_call reasoning output_text response.created response.completed response.failed error
response.output_text.delta response.output_item.done stop""".split()  # noqa: SIM905
SHAPES = (  # members that belong together, so that the wrong ones are met behind the right ones
    ("type", "item"),
    ("type", "item_id", "delta"),
    ("type", "response"),
    ("choices",),
    ("index", "delta", "finish_reason"),
    ("output",),
    ("type", "id", "content"),
    (),
)


def grown(seed: int) -> Any:
    return _value(Random(seed), 4)


def _value(random: Random, levels: int) -> Any:
    kind = random.random()
    if not levels or kind < 0.35:
        return random.choice(
            [None, True, 0, 7, -1, 2**70, 1.5, "", *random.sample(WORDS, 5), *random.sample(KEYS, 2)]
        )
    if kind < 0.55:
        return [_value(random, levels - 1) for _ in range(random.randrange(4))]
    keys = [*random.choice(SHAPES), *random.sample(KEYS, random.randrange(4))]
    return {key: random.choice(WORDS) if key == "type" else _value(random, levels - 1) for key in keys}


ANYTHING = st.integers(0, 1 << 48).map(grown)
OBJECTS = ANYTHING.map(lambda value: value if isinstance(value, dict) else {"output": value})
