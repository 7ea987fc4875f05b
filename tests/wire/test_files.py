"""No files left for a connection to an agent: D10, on this side of it."""

import errno

import pytest
from wire.calls import asking
from wire.test_sent import refusal


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
async def test_d10_a_call_without_a_file_left_for_it_is_told_that_it_was_us(wire, notes, monkeypatch, number):
    async def none_left(*_, **__):
        raise OSError(number, "Too many open files")

    monkeypatch.setattr("sidecar.wire.connect.start_connection", none_left)
    refused = await refusal(wire, asking("http://127.0.0.1:1"))
    assert (refused.status, refused.code, refused.sent) == (503, "overloaded", "none")
    assert "as many files and connections open as it may" in refused.detail
    assert "ulimit -n" in refused.hint
    assert refused.retry_after == 1
    assert notes.attempts == [("none", "overloaded")]
