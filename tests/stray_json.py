"""JSON with the right words in the wrong places: what a reader of foreign answers has to live with.

Values are grown from a number, which is many times faster than drawing every part of them.
"""

from collections.abc import Callable, Sequence
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


Leaf = Callable[[Random], Any]
LETTERS = 'aZ09 _-./:%@?#&=+"\\{}[]<>\t\r\n\0é٣\u2028😀'


def text(random: Random) -> str:
    """A short text; every other letter is any letter at all."""
    some = random.choices(LETTERS, k=random.randrange(10))
    return "".join(random.choice((letter, chr(random.randrange(0x2E80)))) for letter in some)


def among(*words: Any) -> Leaf:
    """One of these, any text, or what else stands where a text was due."""
    plain = (None, True, False, 0, -1, 2**70)
    return lambda random: random.choice((random.choice(words or ("",)), random.choice(plain), text(random)))


def scattered(leaf: Leaf, keys: Sequence[str], levels: int = 4) -> st.SearchStrategy[Any]:
    """Leaves in lists and under these keys, some of them only leaves."""

    def value(random: Random, levels: int) -> Any:
        kind = random.random()
        if not levels or kind < 0.3:
            return leaf(random)
        if kind < 0.5:
            return [value(random, levels - 1) for _ in range(random.randrange(4))]
        names = random.choices(keys, k=random.randrange(6))
        return {name: value(random, levels - 1) for name in names}

    return st.integers(0, 1 << 48).map(lambda seed: value(Random(seed), levels))
