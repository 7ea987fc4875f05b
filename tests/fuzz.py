"""A pytest plug-in for `make fuzz`: every property test gets FUZZ times its examples, others each time."""

import os

import pytest
from hypothesis import is_hypothesis_test, settings

TIMES = int(os.environ.get("FUZZ", "20"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests = {getattr(test, "__func__", test) for item in items if is_hypothesis_test(test := item.obj)}
    for test in tests:  # one function may be several items
        own = getattr(test, "_hypothesis_internal_use_settings", None) or settings.default
        more = settings(own, max_examples=own.max_examples * TIMES, derandomize=False, deadline=None)
        test._hypothesis_internal_use_settings = more
