"""Sessions are their openers', and the longest unused gives way."""

from middleware.sessions import Sessions

ANN, BOB = ("user", "ann"), ("user", "bob")


def key(ident: str, agent: str = "tools") -> tuple[str, str, str]:
    return agent, "http://a", ident


def test_a_session_is_held_by_whoever_opened_it_with_that_agent() -> None:
    sessions = Sessions()
    sessions.open(key("1"), ANN)
    assert sessions.held(key("1"), ANN)
    assert not sessions.held(key("1"), BOB)
    assert not sessions.held(key("1", agent="other"), ANN)
    assert not sessions.held(key("2"), ANN)


def test_nobody_takes_a_session_over() -> None:
    sessions = Sessions()
    sessions.open(key("1"), ANN)
    sessions.open(key("1"), BOB)
    assert sessions.held(key("1"), ANN)


def test_what_is_forgotten_is_nobodys() -> None:
    sessions = Sessions()
    sessions.open(key("1"), ANN)
    sessions.forget(key("1"))
    sessions.forget(key("1"))
    assert not sessions.held(key("1"), ANN)
    assert not sessions.knows(key("1"))


def test_there_is_room_for_so_many_and_the_longest_unused_goes() -> None:
    sessions = Sessions(room=3)
    for ident in "123":
        sessions.open(key(ident), ANN)
    assert sessions.held(key("1"), ANN)
    sessions.open(key("4"), ANN)
    assert [ident for ident in "1234" if sessions.knows(key(ident))] == ["1", "3", "4"]
    assert len(sessions) == 3
