"""Which certificates are trusted, and whose they are. Never connects without verification."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import certifi

from core.errors import FixByHand
from core.files import read_text, write_atomic, writing

PRACTICE_ORGANIZATION = "tickerd practice market"
"""The organization of the CA that the practice market makes: what it signs is never the real market."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """`ca_path`: PEM file of every trusted root; `context`: the same for Python's own TLS."""

    ca_path: Path
    context: ssl.SSLContext


def build_trust(*, ca_file: str, state_dir: Path) -> Trust:
    """Return the default roots plus the one CA of `[network] ca_file`, merged into the state folder."""
    path = Path(certifi.where())
    if ca_file:
        extra = read_text(Path(ca_file), key="network.ca_file")
        _check(extra, ca_file)
        path = state_dir / "ca-bundle.pem"
        _store(path, (read_text(Path(certifi.where())) + "\n" + extra).encode())
    context = ssl.create_default_context(cafile=str(path))
    context.set_alpn_protocols(["http/1.1"])
    return Trust(ca_path=path, context=context)


def is_practice(peer_certificate: object) -> bool:
    """True if a verified leaf (`SSLSocket.getpeercert()`) was issued by the practice market's CA."""
    issuer = peer_certificate.get("issuer", ()) if isinstance(peer_certificate, dict) else ()
    return any(("organizationName", PRACTICE_ORGANIZATION) in part for part in issuer)


def _store(path: Path, bundle: bytes) -> None:
    """Write only what is new: a start on a full disk then needs no room."""
    with writing(path):
        if not path.exists() or path.read_bytes() != bundle:
            write_atomic(path, bundle)


def _check(pem: str, ca_file: str) -> None:
    try:
        ascii_only = pem.encode("ascii", "ignore").decode()  # comments between the certificates may be anything
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=ascii_only)
    except (ssl.SSLError, ValueError) as error:
        raise FixByHand(
            "holds no PEM certificate", where=ca_file, key="network.ca_file", right="give a CA in PEM form"
        ) from error
