"""A card as its readers get it: nothing in it leads past us, and nothing in it leads us elsewhere."""

from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stray_json import among, scattered, text

from policies.cards import Endpoint, Way, endpoints, rewritten
from policies.refusal import Refusal

OWN = "https://echo-77.aws.databricksapps.com"
BASE = f"{OWN}/base"
US = "https://us.example.org"
WAY = Way(OWN, f"{OWN}/.well-known/agent-card.json", f"{US}/api/agents/echo", f"{US}/api/agents/echo")
BELOW = WAY._replace(own=BASE, at=f"{BASE}/.well-known/agent-card.json")
KEYED = WAY._replace(prefix="http://127.0.0.1:9800/~0123456789abcdef0123456789abcdef/agents/echo")


def old(url: Any, **more: Any) -> dict[str, Any]:
    """A card of A2A 0.3."""
    return {"protocolVersion": "0.3.0", "name": "Echo", "url": url, **more}


def new(*interfaces: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A card of A2A 1.0."""
    return {"name": "Echo", "supportedInterfaces": list(interfaces), **more}


def interface(url: str, binding: str = "JSONRPC", version: str = "1.0") -> dict[str, Any]:
    return {"url": url, "protocolBinding": binding, "protocolVersion": version}


def refused(card: Any, way: Way = WAY) -> str:
    with pytest.raises(Refusal) as refusal:
        rewritten(card, way)
    assert refusal.value.status == 502
    return refusal.value.code


EIGHT = {
    "0.3 url": (WAY, old(f"{OWN}/"), WAY.prefix),
    "1.0 interfaces": (WAY, new(interface(f"{OWN}/rpc")), f"{WAY.prefix}/rpc"),
    "the agent lies below its origin": (BELOW, old(f"{BASE}/a2a/v1"), f"{BELOW.prefix}/a2a/v1"),
    "the caller came by another path": (KEYED, old(f"{OWN}/rpc?x=%2f"), f"{KEYED.prefix}/rpc?x=%2f"),
    "it says our address already": (WAY, old(f"{WAY.prefix}/rpc"), f"{WAY.prefix}/rpc"),
    "it is signed": (WAY, old(OWN, signatures=[{"protected": "e30", "signature": "x"}]), WAY.prefix),
    "it is relative": (BELOW, old("rpc"), None),  # meant from where the card lies
    "it is rooted": (BELOW, old("/base/rpc"), f"{BELOW.prefix}/rpc"),
}


@pytest.mark.parametrize("name", EIGHT)
def test_every_endpoint_leads_to_us_B08(name: str) -> None:
    """B08: the eighth row, the ETag, is a header: tests/journeys/test_gateway.py."""
    way, card, told = EIGHT[name]
    found = rewritten(card, way)
    if told is None:
        assert found["url"] == f"{BELOW.prefix}/.well-known/rpc"
    elif "url" in card:
        assert found["url"] == told
    else:
        assert [one["url"] for one in found["supportedInterfaces"]] == [told]
    assert "signatures" not in found
    assert found["name"] == "Echo"


def test_what_cannot_be_proxied_is_left_out_and_the_rest_stays() -> None:
    card = new(
        interface(f"{OWN}/rpc"),
        interface("grpc.example.org:443", "GRPC"),
        interface(f"{OWN}/rest", "HTTP+JSON"),
        interface("https://evil.example.org/rpc"),
        provider={"url": "https://vendor.example.org"},
        documentationUrl=f"{OWN}/docs",
        capabilities={"extensions": [{"uri": f"{OWN}/ext/v1"}]},
        securitySchemes={"oauth": {"flows": {"clientCredentials": {"tokenUrl": f"{OWN}/token"}}}},
        security=[{"oauth": []}],
        skills=[{"id": "s", "security": [{"oauth": []}]}],
    )
    told = rewritten(card, WAY)
    assert [(one["url"], one["protocolBinding"]) for one in told["supportedInterfaces"]] == [
        (f"{WAY.prefix}/rpc", "JSONRPC"),
        (f"{WAY.prefix}/rest", "HTTP+JSON"),
    ]
    assert told["provider"] == card["provider"]
    assert told["documentationUrl"] == card["documentationUrl"]
    assert told["capabilities"] == card["capabilities"]
    assert not {"securitySchemes", "security"} & set(told)
    assert told["skills"] == [{"id": "s"}]
    assert card["supportedInterfaces"][1]["protocolBinding"] == "GRPC"  # the agent's own stays as it is


def test_where_the_preferred_endpoint_cannot_be_had_another_takes_its_place() -> None:
    card = old(
        "grpc.example.org:443",
        preferredTransport="GRPC",
        additionalInterfaces=[{"url": f"{OWN}/rest", "transport": "HTTP+JSON"}],
    )
    told = rewritten(card, WAY)
    assert (told["url"], told["preferredTransport"]) == (f"{WAY.prefix}/rest", "HTTP+JSON")


def test_explicit_nulls_are_as_good_as_nothing() -> None:
    told = rewritten(old(OWN, provider=None, additionalInterfaces=None, supportedInterfaces=None), WAY)
    assert told["url"] == WAY.prefix
    assert told["additionalInterfaces"] is None


def test_snake_case_is_read_as_well() -> None:
    card = {
        "url": f"{OWN}/rpc",
        "preferred_transport": "JSONRPC",
        "additional_interfaces": [{"url": f"{OWN}/rest", "transport": "HTTP+JSON"}],
        "supported_interfaces": [{"url": OWN, "protocol_binding": "JSONRPC", "protocol_version": "1.0"}],
        "security_schemes": {},
    }
    told = rewritten(card, WAY)
    assert told["additional_interfaces"][0]["url"] == f"{WAY.prefix}/rest"
    assert told["supported_interfaces"][0]["url"] == WAY.prefix
    assert "security_schemes" not in told


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.org/",
        f"{OWN}.evil.example.org/",
        f"{OWN}@evil.example.org/",
        "https://echo-77.aws.databricksapps.com:8443/",
        "//evil.example.org/rpc",
        "file:///etc/passwd",
        OWN.replace("https", "ftp"),
        OWN.replace("//", "//user@"),
        "javascript:alert(1)",
        "https://[::1",
        f"{OWN}/%00",
        f"{OWN}/#there",
        f"{OWN}/{'x' * 3000}",
        "",
        7,
        {"url": OWN},
    ],
)
def test_a_card_that_leads_elsewhere_is_refused_U10(url: Any) -> None:
    assert refused(old(url)) == "agent_card_elsewhere"
    with pytest.raises(Refusal) as refusal:
        endpoints(old(url), WAY)
    assert refusal.value.code == "agent_card_elsewhere"


def test_an_origin_that_is_listed_may_be_called_and_is_told_as_our_own_door_U10() -> None:
    way = WAY._replace(prefix=f"{US}/agents/echo", origins=frozenset({"https://rpc.example.org"}))
    card = old("https://rpc.example.org/v1")
    assert endpoints(card, way) == [Endpoint("https://rpc.example.org/v1", "JSONRPC", "0.3.0")]
    assert rewritten(card, way)["url"] == way.door
    rest = new(interface("https://rpc.example.org/v1", "HTTP+JSON"))
    assert endpoints(rest, way)
    assert refused(rest, way) == "agent_card_elsewhere"  # nothing of ours leads there


def test_the_agents_origin_outside_of_its_base_is_reached_by_our_own_door() -> None:
    card = new(interface(f"{OWN}/rpc"), interface(f"{OWN}/rest", "HTTP+JSON"))
    assert [one["url"] for one in rewritten(card, BELOW)["supportedInterfaces"]] == [BELOW.door]
    assert rewritten(old(f"{OWN}/basement"), BELOW)["url"] == BELOW.door


def test_an_agent_that_takes_itself_for_plain_http_is_kept_at_https_U09() -> None:
    plain = OWN.replace("https", "http")
    assert endpoints(old(f"{plain}/rpc"), WAY) == [Endpoint(f"{OWN}/rpc", "JSONRPC", "0.3.0")]
    assert rewritten(old(f"{plain}/rpc"), WAY)["url"] == f"{WAY.prefix}/rpc"
    assert refused(old("http://evil.example.org/")) == "agent_card_elsewhere"
    listed = WAY._replace(origins=frozenset({"http://rpc.example.org"}))
    assert refused(old("http://rpc.example.org/"), listed) == "agent_card_elsewhere"


def test_a_plain_agent_on_this_machine_stays_plain() -> None:
    way = WAY._replace(own="http://127.0.0.1:9000", at="http://127.0.0.1:9000/.well-known/agent.json")
    assert endpoints(old("http://127.0.0.1:9000/"), way) == [
        Endpoint("http://127.0.0.1:9000/", "JSONRPC", "0.3.0")
    ]


@pytest.mark.parametrize("card", [None, [], "card", 3, [{"url": OWN}]])
def test_a_card_that_is_no_object_is_none(card: Any) -> None:
    assert refused(card) == "agent_card_invalid"


def test_a_card_that_names_no_endpoint_goes_on_as_one() -> None:
    assert rewritten({"name": "Echo"}, WAY) == {"name": "Echo"}
    assert endpoints({"name": "Echo"}, WAY) == []


def test_what_may_be_called_says_its_version_the_preferred_first() -> None:
    card = old(
        f"{OWN}/rpc",
        additionalInterfaces=[{"url": f"{OWN}/rest", "transport": "HTTP+JSON"}],
        supportedInterfaces=[interface(f"{OWN}/rpc")],
    )
    assert [(one.binding, one.version) for one in endpoints(card, WAY)] == [
        ("JSONRPC", "0.3.0"),
        ("HTTP+JSON", "0.3.0"),
        ("JSONRPC", "1.0"),
    ]


def test_an_apx_card_says_our_mcp_address_too() -> None:
    told = rewritten(old(OWN, schemaVersion="1.0", mcpEndpoint=f"{OWN}/mcp/sse"), WAY)
    assert told["mcpEndpoint"] == f"{WAY.prefix}/mcp/sse"
    assert rewritten(old(OWN, mcpEndpoint="https://evil.example.org/mcp"), WAY)["mcpEndpoint"] is None
    assert rewritten(old(OWN, mcpEndpoint=None), WAY)["mcpEndpoint"] is None


# --- whatever it says --------------------------------------------------------------------------------------

ADDRESSES = (
    *(OWN, BASE, f"{BASE}/rpc", f"{OWN}/../x", "rpc", "/base/rpc", "//evil.example.org"),
    *(WAY.prefix, "?q", "\\\\e"),
)
BEGINNINGS = (OWN, BASE, "http://", "https://", "", "//")
KEYS = (
    *("url", "transport", "protocolBinding", "protocol_binding", "protocolVersion", "preferredTransport"),
    *("additionalInterfaces", "supportedInterfaces", "supported_interfaces", "mcpEndpoint", "signatures"),
    *("skills", "security", "name"),
)


def leaf(random: Random) -> Any:
    address = random.choice((random.choice(ADDRESSES), random.choice(BEGINNINGS) + text(random)))
    return random.choice((address, address, among("GRPC", "JSONRPC", "HTTP+JSON")(random)))


values = scattered(leaf, KEYS)
cards = values | st.dictionaries(st.sampled_from(KEYS), values, max_size=8)


@settings(max_examples=1000, deadline=None)
@given(cards, st.sampled_from([WAY, BELOW, KEYED]))
def test_whatever_a_card_says_its_endpoints_lead_to_us_or_it_is_refused(card: Any, way: Way) -> None:
    told = None
    with suppress(Refusal):
        told = rewritten(card, way)
    if told is None:
        return
    lists = ("additionalInterfaces", "supportedInterfaces", "supported_interfaces")
    interfaces = [one for name in lists for one in (told.get(name) or [])]
    named = [told.get("url"), told.get("mcpEndpoint"), *(one["url"] for one in interfaces)]
    for url in named:
        assert url is None or url.startswith((way.prefix, way.door))
    assert "signatures" not in told
    assert rewritten(told, way) == told  # told again, it says the same


@settings(max_examples=1000, deadline=None)
@given(cards, st.sampled_from([WAY, BELOW]))
def test_whatever_a_card_says_nothing_but_the_agents_own_origin_is_called(card: Any, way: Way) -> None:
    found = None
    with suppress(Refusal):
        found = endpoints(card, way)
    if found is None:
        return
    assert all(one.url == OWN or one.url.startswith((f"{OWN}/", f"{OWN}?")) for one in found)
    assert all(one.binding != "GRPC" for one in found)
