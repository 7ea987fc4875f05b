"""Agents over TLS: whom we believe, and what is said of those whom we do not. P12."""

import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from needs import need
from wire.calls import asking
from wire.hostile import Peer, always, serving
from wire.test_request import HI
from wire.test_sent import refusal

from sidecar.wire.connect import trust


@pytest.fixture(scope="session")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`certified("IP:127.0.0.1", days=30)`: one file with a key and a certificate that it has signed itself."""
    openssl = need("openssl")
    folder = tmp_path_factory.mktemp("certificates")

    def made(name: str, days: int = 30) -> Path:
        stem = folder / f"{name}-{days}".translate({ord(char): "-" for char in ":."})
        if stem.with_suffix(".pem").exists():
            return stem.with_suffix(".pem")
        asked, extra = stem.with_suffix(".csr"), stem.with_suffix(".ext")
        key, certificate, both = (stem.with_suffix(suffix) for suffix in (".key", ".crt", ".pem"))
        extra.write_text(f"subjectAltName={name}\n")
        steps = (
            f"req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=agent -keyout {key} -out {asked}",
            f"x509 -req -in {asked} -signkey {key} -days {days} -extfile {extra} -out {certificate}",
        )
        for step in steps:
            subprocess.run([openssl, *step.split()], check=True, capture_output=True)
        both.write_text(key.read_text() + certificate.read_text())
        return both

    return made


def shown(certificate: Path) -> ssl.SSLContext:
    """A server's side of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_an_agent_whose_authority_is_known_is_called_and_its_connection_kept(wired, certified, notes):
    certificate = certified("IP:127.0.0.1")
    async with serving(always(HI), tls=shown(certificate)) as agent:
        wire = wired(tls=trust(str(certificate)))
        for _ in range(3):
            assert (await wire(asking(agent.url))).body.raw == b"{}"
        assert agent.connections == 1
        assert notes.attempts == [("full", "answered")] * 3


@pytest.mark.parametrize(
    ("name", "days", "known", "said"),
    [
        ("IP:127.0.0.1", 30, False, "signed by nobody who is known here"),
        ("IP:127.0.0.1", -1, True, "out of date"),
        ("DNS:other.test", 30, True, "another name's"),
    ],
)
async def test_p12_a_certificate_that_is_not_accepted_is_told_and_nothing_is_sent(
    wired, certified, notes, name, days, known, said
):
    certificate = certified(name, days)
    async with serving(always(HI), tls=shown(certificate)) as agent:
        wire = wired(tls=trust(str(certificate) if known else None))
        refused = await refusal(wire, asking(agent.url))
        assert (refused.status, refused.code, refused.sent) == (502, "agent_tls_error", "none")
        assert said in refused.detail
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
