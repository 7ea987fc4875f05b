"""What a chat's body may be, and that a change to one member leaves every other byte as it came."""

import json
import tracemalloc
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from json_documents import VALUES, Document, documents, spelled

from policies import body
from policies.body import accepted, asks_twice, read, wants_stream, with_stream, without
from policies.refusal import Refusal


def refused(raw: bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read(raw)
    assert caught.value.status == 400
    return caught.value


def nested(levels: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    return opening * levels + closing * levels


# --- reading


@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (b"", "zero-length"),
        (b'{"input":', "line 1 column 10"),
        (b'{"input":1} {}', "after document"),
        (b'{"input":NaN}', "line 1 column 10"),
        (b'{"input":Infinity}', "line 1 column 10"),
        (b'{"input":01}', "line 1"),
        (b"{'input':1}", "line 1 column 2"),
        (b'{"input":"\\ud800"}', "surrogate"),
        (b'{"input":"\\udc00\\ud800"}', "surrogate"),
        (b'{"input":"\xed\xa0\x80"}', "UTF-8"),
        (b'{"input":"\xff"}', "UTF-8"),
        (b'{"input":"a\nb"}', "control character"),
        ('{"input":1}'.encode("utf-16"), "UTF-8"),
        (b'\xef\xbb\xbf{"input":1}', "byte order mark"),
        (b'{"input":1e400}', "infinity"),
    ],
)
def test_b02_d08_what_is_not_json_is_invalid_json_and_says_where(raw: bytes, cause: str) -> None:
    refusal = refused(raw)
    assert refusal.code == "invalid_json"
    assert cause in (refusal.detail or "")


def test_d08_two_hundred_levels_pass_and_one_more_does_not() -> None:
    assert read(nested(200)) is not None
    assert read(b'{"input":' + nested(199) + b',"x":"' + b"[" * 300 + b'"}') is not None
    assert refused(nested(201)).code == "too_deep"
    assert refused(b'{"input":' + nested(200) + b"}").code == "too_deep"
    assert refused(b'{"a":' * 201 + b"1" + b"}" * 201).code == "too_deep"
    assert refused(b'[{"a":' * 101 + b"1" + b"}]" * 101).code == "too_deep"


@pytest.mark.parametrize("raw", [nested(10_000), b"[" * 10_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000])
def test_d08_ten_thousand_levels_are_too_deep(raw: bytes) -> None:
    assert refused(raw).code == "too_deep"


@pytest.mark.parametrize(
    "raw",
    [
        b"{" + b",".join(b'"k%d":0' % n for n in range(1_000_000)) + b"}",
        b'{"input":[' + b",".join([b'{"k":0}'] * 1_000_000) + b"]}",
        b'{"input":[' + b",".join([b"[]"] * 1_000_000) + b"]}",
    ],
    ids=["one object", "many objects", "many arrays"],
)
def test_d08_a_million_keys_are_refused_before_anything_is_parsed(
    raw: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "orjson", None)
    assert refused(raw).code == "too_many_keys"


def test_d08_a_long_text_full_of_colons_and_brackets_is_no_heap_of_keys() -> None:
    value = read(b'{"input":"' + b":{[" * 200_000 + b'"}')
    assert len(value["input"]) == 600_000


def test_d08_the_heaviest_body_that_passes_takes_less_than_a_hundred_times_its_size() -> None:
    raw = b'{"input":[' + b",".join([b"[]"] * 99_998) + b"]}"
    tracemalloc.start()
    try:
        read(raw)
        assert tracemalloc.get_traced_memory()[1] < 100 * len(raw)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("digits", [19, 20, 40, 300])
def test_d08_huge_integers_are_valid_and_go_on_digit_for_digit(digits: int) -> None:
    number = b"9" * digits
    raw = b'{"input":"hi","seed":' + number + b"}"
    assert with_stream(raw, read(raw), True) == b'{"input":"hi","seed":' + number + b',"stream":true}'


@pytest.mark.parametrize("key", ["input", "messages", "stream"])
def test_d08_a_key_said_twice_is_refused_however_it_is_spelled(key: str) -> None:
    plain = json.dumps(key).encode()
    escaped = b'"' + b"".join(b"\\u%04x" % ord(letter) for letter in key) + b'"'
    partly = plain[:2] + b"\\u%04X" % ord(key[1]) + plain[3:]
    for first, second in [
        (plain, plain),
        (plain, escaped),
        (escaped, plain),
        (partly, plain),
        (partly, escaped),
    ]:
        refusal = refused(b'{"x":"\\n", ' + first + b':[], "y":{"a":[1,2]},' + second + b" : null}")
        assert refusal.code == "duplicate_key"
        assert f"`{key}`" in (refusal.detail or "")


@pytest.mark.parametrize(
    "raw",
    [
        b'{"messages":[{"role":"user","content":"say \\"messages\\" twice, \\"messages\\""}]}',
        b'{"messages":[{"messages":1,"input":2,"stream":3}],"input":"messages","x":["stream","stream"]}',
        b'{"input":1,"x":{"input":{"input":2}},"y":"input"}',
        b'{"\\u0069nput":1}',
        b'{"input":"\\u0069\\u0061","stream":true}',
        b'{"a":1,"a":2,"input":1}',
        b'[{"input":1},{"input":1}]',
    ],
)
def test_the_same_word_elsewhere_is_no_duplicate(raw: bytes) -> None:
    assert read(raw) == orjson.loads(raw)


@settings(max_examples=1000, deadline=None)
@given(documents(["input", "messages", "stream", "x"]), st.data())
def test_exactly_the_bodies_that_say_a_key_twice_are_refused(document: Document, data: st.DataObject) -> None:
    extra = data.draw(st.sampled_from(["input", "messages", "stream", "x"]))
    twice = document._replace(
        members=[*document.members, (extra, data.draw(spelled(extra)), data.draw(VALUES))]
    )
    if extra != "x" and extra in [key for key, _, _ in document.members]:
        assert refused(twice.raw).code == "duplicate_key"
    else:
        assert read(twice.raw) == orjson.loads(twice.raw)


@settings(max_examples=1000, deadline=None)
@given(
    st.binary(max_size=40) | VALUES.flatmap(lambda raw: st.integers(0, len(raw)).map(lambda cut: raw[:cut]))
)
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        value = read(raw)
    except Refusal as refusal:
        value = refusal
    assert not isinstance(value, Refusal) or value.code in {"invalid_json", "duplicate_key"}


# --- the contract


@pytest.mark.parametrize(
    ("raw", "chat"),
    [
        (b'{"input":"hi"}', True),
        (b'{"input":[]}', True),
        (b'{"input":null}', True),
        (b'{"input":""}', True),
        (b'{"input":0}', True),
        (b'{"messages":[]}', True),
        (b'{"messages":[{"role":"user","content":"hi"}]}', True),
        (b'{"input":"hi","messages":"x"}', True),
        (b'{"id":"1","messages":[{"id":"2","role":"user","parts":[]}],"trigger":"submit-message"}', True),
        (b"{}", False),
        (b'{"prompt":"hi"}', False),
        (b'{"messages":"x"}', False),
        (b'{"messages":null}', False),
        (b'{"messages":{}}', False),
        (b'[{"input":1}]', False),
        (b'["input"]', False),
        (b'"input"', False),
        (b"null", False),
        (b"1", False),
    ],
)
def test_b02_b04_a_chat_has_input_even_null_or_a_list_of_messages(raw: bytes, chat: bool) -> None:
    assert accepted(read(raw)) is chat


@pytest.mark.parametrize(
    ("raw", "twice"),
    [
        (b'{"input":"hi","messages":[]}', True),
        (b'{"messages":[{}],"input":""}', True),
        (b'{"input":"hi"}', False),
        (b'{"messages":[]}', False),
        (b'{"input":null,"messages":[]}', False),
        (b'{"input":"hi","messages":"x"}', False),
        (b'["input","messages"]', False),
        (b"null", False),
    ],
)
def test_b03_a_body_asks_twice_with_an_input_and_a_list_of_messages(raw: bytes, twice: bool) -> None:
    assert asks_twice(read(raw)) is twice


# --- stream or whole

JSON_ONLY = "application/json"
SSE = "text/event-stream"


@pytest.mark.parametrize(
    ("route", "accept", "said", "wanted"),
    [
        ("/api/chat", SSE, True, True),
        ("/api/chat", SSE, False, False),
        ("/api/chat", SSE, None, True),
        ("/api/chat", JSON_ONLY, True, True),
        ("/api/chat", JSON_ONLY, False, False),
        ("/api/chat", JSON_ONLY, None, False),
        ("/invocations", SSE, True, True),
        ("/invocations", SSE, False, False),
        ("/invocations", SSE, None, False),
        ("/invocations", JSON_ONLY, True, True),
        ("/invocations", JSON_ONLY, False, False),
        ("/invocations", JSON_ONLY, None, False),
    ],
)
def test_b05_stream_by_body_then_by_accept_or_the_agents_default(
    route: str, accept: str, said: bool | None, wanted: bool
) -> None:
    """An agent's own paths do not listen to Accept; their default is JSON, as mlflow's is."""
    value: dict[str, Any] = {"input": "hi"} if said is None else {"input": "hi", "stream": said}
    asked = wants_stream(value, accept) if route == "/api/chat" else wants_stream(value, None, default=False)
    assert asked is wanted


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, True),
        ("", True),
        ("*/*", True),
        ("text/html", True),
        ("application/json, text/plain, */*", False),
        ("Application/JSON; q=0.9", False),
        ("application/json, text/event-stream", True),
        ("text/event-stream;q=0.5, APPLICATION/JSON", True),
    ],
)
def test_json_without_sse_wants_the_answer_whole(accept: str | None, wanted: bool) -> None:
    assert wants_stream({"input": "hi"}, accept) is wanted


@pytest.mark.parametrize(
    ("said", "wanted"), [("false", True), ("", False), (1, True), (0, False), ([], False), ({"a": 1}, True)]
)
def test_a_stream_that_is_no_boolean_counts_as_mlflow_counts_it(said: Any, wanted: bool) -> None:
    assert wants_stream({"input": "hi", "stream": said}, None, default=not wanted) is wanted


@pytest.mark.parametrize("default", [True, False])
def test_a_null_stream_says_nothing(default: bool) -> None:
    assert wants_stream({"input": "hi", "stream": None}, None, default) is default


# --- changing one member


def test_stream_is_put_in_and_everything_else_stays() -> None:
    raw = b' { "messages" : [ ] , "n":1.10 } '
    assert with_stream(raw, read(raw), True) == b' { "messages" : [ ] , "n":1.10 ,"stream":true} '
    assert with_stream(b"{}", {}, False) == b'{"stream":false}'


@pytest.mark.parametrize("raw", [b"[]", b'"x"', b"null", b"1"])
def test_what_is_no_object_has_no_stream(raw: bytes) -> None:
    assert with_stream(raw, read(raw), True) is raw


@pytest.mark.parametrize(
    ("said", "wanted", "told"),
    [
        (b"true", True, b"true"),
        (b"false", False, b"false"),
        (b'"false"', True, b'"false"'),
        (b"0", False, b"0"),
        (b"null", False, b"null"),
        (b"true", False, b"false"),
        (b"false", True, b"true"),
        (b'"false"', False, b"false"),
        (b"null", True, b"true"),
        (b'{"deep":["}"]}', False, b"false"),
    ],
)
def test_a_stream_that_is_right_stays_as_it_came_and_a_wrong_one_is_replaced(
    said: bytes, wanted: bool, told: bytes
) -> None:
    raw = b'{"input":{"stream":"mine"}, "stream" : ' + said + b' , "x":"\\"stream\\":1"}'
    changed = with_stream(raw, read(raw), wanted)
    assert changed == raw.replace(b'"stream" : ' + said, b'"stream" : ' + told)
    assert (changed is raw) == (said == told)


@settings(max_examples=1000, deadline=None)
@given(
    documents(),
    st.booleans(),
)
def test_what_was_put_in_can_be_taken_out_to_the_last_byte(document: Document, wanted: bool) -> None:
    raw = document.raw
    if "stream" in orjson.loads(raw):
        return
    told = with_stream(raw, orjson.loads(raw), wanted)
    assert orjson.loads(told) == orjson.loads(raw) | {"stream": wanted}
    assert (
        told.replace(b',"stream":true' if wanted else b',"stream":false', b"") == raw or not document.members
    )


@settings(max_examples=1000, deadline=None)
@given(documents(), VALUES, spelled("stream"), st.integers(0, 4))
def test_a_member_is_replaced_or_taken_out_and_no_other_byte_is_touched(
    document: Document, value: bytes, key: bytes, at: int
) -> None:
    others = [member for member in document.members if member[0] != "stream"]

    def saying(value: bytes) -> bytes:
        return document._replace(members=[*others[:at], ("stream", key, value), *others[at:]]).raw

    wanted = not orjson.loads(value)
    raw = saying(value)
    assert with_stream(raw, orjson.loads(raw), wanted) == saying(b"true" if wanted else b"false")
    if others:
        assert without(raw, "stream") == document._replace(members=others).raw
    else:
        assert orjson.loads(without(raw, "stream")) == {}


@pytest.mark.parametrize(
    ("raw", "rest"),
    [
        (b'{"agent":"a"}', b"{}"),
        (b'{"agent":"a","input":1}', b'{"input":1}'),
        (b'{"input":1,"agent":"a"}', b'{"input":1}'),
        (b'{"agent":"a","input":1,"agent":"b","\\u0061gent":"c"}', b'{"input":1}'),
        (b'{"input":",","agent":"a","x":[1,2]}', b'{"input":",","x":[1,2]}'),
    ],
)
def test_without_takes_every_occurrence_out(raw: bytes, rest: bytes) -> None:
    assert without(raw, "agent") == rest


def test_without_a_member_that_is_not_there_the_bytes_are_the_same() -> None:
    raw = b'{"input":{"agent":"mine"}}'
    assert without(raw, "agent") is raw
