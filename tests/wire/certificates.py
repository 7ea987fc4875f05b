"""Certificates for the tests, made by openssl: authorities, and what they sign."""

import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

from needs import need


class Signed(NamedTuple):
    """`both` holds key and certificate, `certificate` what may be shown to anybody."""

    both: Path
    certificate: Path

    @property
    def served(self) -> ssl.SSLContext:
        """A server's side of it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.both)
        return context


def made(folder: Path, name: str, *, days: int = 30, by: Signed | None = None, ca: bool = False) -> Signed:
    """A certificate for `IP:127.0.0.1` or `DNS:…`, signed by an authority or by itself."""
    openssl = need("openssl")
    stem = folder / f"{name}-{days}-{by is None}-{ca}".translate({ord(char): "-" for char in ":."})
    asked, extra, key, certificate, both = (
        stem.with_suffix(suffix) for suffix in (".csr", ".ext", ".key", ".crt", ".pem")
    )
    extra.write_text(
        f"subjectAltName={name}\nbasicConstraints=critical,CA:{str(ca).upper()}\n"
        + ("keyUsage=critical,keyCertSign\n" if ca else "")
    )
    signing = ("-CA", by.certificate, "-CAkey", by.both, "-CAcreateserial") if by else ("-signkey", key)
    steps = (
        f"req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={stem.name} -keyout {key} "
        f"-out {asked}",
        f"x509 -req -in {asked} -days {days} -extfile {extra} -out {certificate} "
        + " ".join(map(str, signing)),
    )
    for step in steps:
        subprocess.run([openssl, *step.split()], check=True, capture_output=True)
    both.write_text(key.read_text() + certificate.read_text())
    return Signed(both, certificate)
