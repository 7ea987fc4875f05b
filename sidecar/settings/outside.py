"""The settings of every connection that leaves: whom it believes."""

import ssl
from pathlib import Path
from typing import Annotated

from sidecar.settings.group import Group, setting
from sidecar.settings.kinds import Accepts, reads


def _authorities(text: str) -> Path:
    """A file that TLS can be told of. ValueError says what is wrong with it."""
    file = Path(text)
    try:
        file.read_bytes()  # OpenSSL does not say why it could not
    except OSError as error:
        why = error.strerror or "no reason is given"
        raise ValueError(f"the file cannot be read ({why[:1].lower()}{why[1:]})") from None
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(file)
    except ssl.SSLError:
        raise ValueError("there is no certificate in the file") from None
    return file


CertificateFile = Annotated[
    Path, reads(_authorities), Accepts("a file with certificates in PEM (`-----BEGIN CERTIFICATE-----`)")
]


class Outside(Group):
    """Connections that leave"""

    authorities: CertificateFile | None = setting(
        None,
        "Authorities that are believed over TLS beside the system's: by agents' connections, by the workspace's, "
        "and by databricks-sdk. By default those in the file that `SSL_CERT_FILE` names.",
        "502 `agent_tls_error`.",
        name="SIDECAR_CA_FILE",
    )
    openssl_authorities: CertificateFile | None = setting(
        None, "The same under OpenSSL's own name, where `SIDECAR_CA_FILE` is not set.", name="SSL_CERT_FILE"
    )
