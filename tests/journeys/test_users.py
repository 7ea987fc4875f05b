"""Whose call it is when many call at once, and what of it a plug-in can see. H17, H18."""

from collections import Counter
from pathlib import Path

import uvloop
from journeys.crowd import crowd


def test_h17_of_200_users_at_once_each_call_carries_its_own_users_identity_and_no_others(
    tmp_path: Path,
) -> None:
    """5,000 questions, with second tries, refreshes, cold starts and callers who leave; `make soak` asks 50,000."""

    async def asked() -> Counter[str]:
        async with crowd(tmp_path, seed=17) as one:
            await one.asks(5_000)
            assert one.strays() == []
            assert one.twice() == []
            return one.happened()

    happened = uvloop.run(asked())
    often = {
        "200": 2_500,
        "401": 100,
        "429": 50,
        "left": 100,
        "guarded": 100,
        "replayed": 50,
        "refreshed": 10,
    }
    assert not [what for what, least in often.items() if happened[what] < least], happened
    assert happened["awaited"], happened
