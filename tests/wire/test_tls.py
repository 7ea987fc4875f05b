"""Connections over TLS: whom we believe, everywhere alike, and what is said of those whom we do not. P12"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import pytest
from aiohttp import web
from journeys.sockets import BINARY, MASK, TEXT, frame, raw
from journeys.test_websockets import AGREED
from wire.calls import asking
from wire.certificates import Signed, made
from wire.hostile import Peer, always, serving
from wire.test_request import HI
from wire.test_sent import refusal
from wire.test_stalled import running

from policies.faults import Fault
from policies.secret import Secret
from sidecar import trust
from sidecar.app import Sidecar, proxied
from sidecar.control import Control
from sidecar.settings import SettingsError, load
from sidecar.tokens import helper
from sidecar.tokens.credential import Credential

HERE = "IP:127.0.0.1"
Certified = Callable[..., Signed]


@pytest.fixture(scope="session")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certified:
    """`certified(HERE, days=30, by=authority)`; without `by` it has signed itself. Each is made once."""
    folder = tmp_path_factory.mktemp("certificates")
    return cache(lambda name=HERE, **more: made(folder, name, **more))


@pytest.fixture(scope="session")
def authority(certified: Certified) -> Signed:
    return certified("DNS:authority.test", ca=True)


@pytest.fixture(autouse=True)
def nobody_else_is_believed() -> Iterator[None]:
    yield
    trust.believe(None)


async def test_an_agent_whose_authority_is_known_is_called_and_its_connection_kept(
    wire, certified, authority, notes
):
    trust.believe(authority.certificate)
    async with serving(always(HI), tls=certified(by=authority).served) as agent:
        for _ in range(3):
            assert (await wire(asking(agent.url))).body.raw == b"{}"
        assert agent.connections == 1
        assert notes.attempts == [("full", "answered")] * 3


async def test_an_agent_that_has_signed_itself_is_called_where_its_own_certificate_is_known(wire, certified):
    own = certified()
    trust.believe(own.certificate)
    async with serving(always(HI), tls=own.served) as agent:
        assert (await wire(asking(agent.url))).status == 200


UNKNOWN = "signed by an authority that is not known here"
REFUSED = {
    "expired": ({"days": -1}, True, "is out of date", "Compare `date -u`"),
    "wrong host": ({"name": "DNS:other.test"}, True, "is another name's", "the name that stands in the"),
    "self-signed": (None, False, "is signed by nobody but itself", "the file that SIDECAR_CA_FILE names"),
    "unknown authority": ({}, False, UNKNOWN, "the file that SIDECAR_CA_FILE names"),
    "another authority's": ({}, None, UNKNOWN, "the file that SIDECAR_CA_FILE names"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_p12_a_certificate_that_is_not_accepted_is_told_with_its_cause_and_nothing_is_sent(
    wire, certified, authority, notes, case
):
    how, known, cause, step = REFUSED[case]
    shown = certified() if how is None else certified(by=authority, **how)
    other = certified("DNS:other-authority.test", ca=True)
    trust.believe({True: authority.certificate, False: None, None: other.certificate}[known])
    async with serving(always(HI), tls=shown.served) as agent:
        refused = await refusal(wire, asking(agent.url))
        assert (refused.status, refused.code, refused.sent) == (502, "agent_tls_error", "none")
        assert cause in refused.detail
        assert step in refused.hint
        assert notes.attempts == [("none", "agent_tls_error")]
        assert agent.requests == []


async def test_p12_plain_http_is_not_tried_where_tls_fails(wire):
    async def plain(peer: Peer) -> None:
        await peer.reader.read(1)
        await peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    async with serving(plain) as agent:
        refused = await refusal(wire, asking(agent.url.replace("http:", "https:")))
        assert (refused.code, refused.sent) == ("agent_tls_error", "none")
        assert agent.connections == 1
        assert agent.requests == []


async def test_an_agent_that_hangs_up_during_the_handshake_was_sent_nothing(wire):
    async def hanging_up(peer: Peer) -> None:
        await peer.reader.read(1)
        peer.abort()

    async with serving(hanging_up) as agent:
        refused = await refusal(wire, asking(agent.url.replace("http:", "https:")))
        assert (refused.code, refused.sent) == ("agent_tls_error", "none")


async def test_a_handshake_without_an_end_is_a_connection_that_took_too_long(wired):
    async def silent(peer: Peer) -> None:
        await peer.left()

    async with serving(silent) as agent:
        refused = await refusal(wired(connect=0.2), asking(agent.url.replace("http:", "https:")))
        assert (refused.code, refused.sent) == ("agent_connect_timeout", "none")
        await agent.empty()


# --- one file, believed everywhere -------------------------------------------------------------------------


@asynccontextmanager
async def identity_provider(tls: ssl.SSLContext) -> AsyncIterator[str]:
    """A workspace that gives tokens to everybody, over https."""

    async def handler(request: web.BaseRequest) -> web.Response:
        if request.path.startswith("/oidc/.well-known"):
            return web.json_response(
                {"token_endpoint": f"{base}/token", "authorization_endpoint": f"{base}/authorize"}
            )
        if request.path == "/token":
            return web.json_response({"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600})
        return web.json_response({}, status=404)

    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    base = f"https://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield base
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("variable", ["SIDECAR_CA_FILE", "SSL_CERT_FILE"])
async def test_the_workspace_and_its_sdk_believe_the_same_file_as_agents_connections(
    wire, certified, authority, variable
):
    found = load({"AGENT_APP_URL": "http://127.0.0.1:1", variable: str(authority.certificate)})
    Sidecar(found)
    async with identity_provider(certified(by=authority).served) as base:
        assert (await wire(asking(base, "/token"))).status == 200
        control = Control()
        told = await control.get(f"{base}/token", "Bearer x")
        await control.aclose()
        assert told.status == 200
        given = await helper.fetch(
            Credential("workspace", host=base, client_id="id", client_secret=Secret("s3cret")), 10
        )
        assert given.authorization.reveal() == "Bearer t0ken"


async def test_nobody_believes_an_authority_that_was_not_named(certified, authority):
    Sidecar(load({"AGENT_APP_URL": "http://127.0.0.1:1"}))
    async with identity_provider(certified(by=authority).served) as base:
        control = Control()
        told = await control.get(f"{base}/token", "Bearer x")
        await control.aclose()
        assert told == Fault("tls")
        given = await helper.fetch(
            Credential("workspace", host=base, client_id="id", client_secret=Secret("s3cret")), 10
        )
        assert given == Fault("tls")


@pytest.mark.parametrize("variable", ["SIDECAR_CA_FILE", "SSL_CERT_FILE"])
@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (None, "the file cannot be read (no such file or directory)"),
        ("", "there is no certificate in the file"),
        ("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n", "there is no certificate in the"),
        ("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", "there is no certificate in the"),
    ],
)
def test_a_file_without_authorities_stops_the_start(
    tmp_path: Path, variable: str, content: str | None, wrong: str
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError) as refused:
        load({"AGENT_APP_URL": "http://127.0.0.1:1", variable: str(file)})
    assert f"{variable}: {wrong}" in str(refused.value)
    assert "accepted: a file with certificates in PEM" in str(refused.value)


def test_a_folder_is_no_file_of_authorities(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot be read \(is a directory\)"):
        load({"AGENT_APP_URL": "http://127.0.0.1:1", "SIDECAR_CA_FILE": str(tmp_path)})


def test_our_own_variable_wins_over_openssls(certified, authority) -> None:
    given = {"SIDECAR_CA_FILE": str(authority.certificate), "SSL_CERT_FILE": str(certified().certificate)}
    assert load({"AGENT_APP_URL": "http://127.0.0.1:1"} | given).authorities == authority.certificate


async def test_a_websocket_to_an_agent_over_tls_passes_and_ends_as_one_without(certified, authority):
    async def echoing(peer: Peer) -> None:
        await peer.asked()
        await peer.send(AGREED, frame(b"hello"))
        said = await peer.reader.readexactly(len(frame(bytes(1 << 20), BINARY, MASK)))
        await peer.send(said)
        await peer.reader.read()
        ended.set()

    ended = asyncio.Event()
    given = {"SIDECAR_CA_FILE": str(authority.certificate), "SIDECAR_AGENTS__DEFAULT__AUTH": "none"}
    async with (
        serving(echoing, tls=certified(by=authority).served) as agent,
        running(agent.url, **given) as app,
        raw(f"{app.listeners['egress'].address}/agents/default/ws") as caller,
    ):
        assert await caller.said() == (0x80 | TEXT, b"hello")
        sent = frame(bytes(1 << 20), BINARY, MASK)
        caller.writer.write(sent)
        assert await caller.reader.readexactly(len(sent)) == sent
        caller.writer.write_eof()  # over TLS there are no halves: the agent sees the end
        await asyncio.wait_for(ended.wait(), 2)
        assert await caller.reader.read() == b""
        await asyncio.wait_for(app.edge.idle.wait(), 2)


# --- the way there -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
async def test_a_proxy_that_is_not_used_is_named_where_it_may_be_the_reason(wired, monkeypatch, name):
    assert not proxied()
    monkeypatch.setenv(name, "http://proxy.test:3128")
    refused = await refusal(wired(proxied=proxied()), asking("https://127.0.0.1:1"))
    assert (refused.code, refused.sent) == ("agent_unreachable", "none")
    assert "HTTPS_PROXY is set, and agents are reached without it" in refused.hint


async def test_an_app_that_has_moved_is_found_by_the_next_connection(wire, monkeypatch):
    monkeypatch.setattr("sidecar.wire.connect.RESOLVED", 0.0)
    places: list[tuple[str, int]] = []

    async def resolved(*_, **__):
        return [(2, 1, 6, "", places[-1])]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolved)
    closing = HI.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
    async with serving(always(closing)) as old, serving(always(closing)) as new:
        for server in (old, new):
            places.append(("127.0.0.1", int(server.url.rpartition(":")[2])))
            assert (await wire(asking("http://agent.test:8000"))).status == 200
        assert (old.connections, new.connections) == (1, 1)
