"""Which roots the upstream's certificates really end in: a bundle of these few for connections by the thousand.

libcurl reads the whole bundle anew for each connection: 2.6 ms and 0.4 MB for the usual 117 roots, most of a check's
cost. Fewer roots also trust fewer people. Never widens what is trusted, and asks no host that is not asked anyway.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from core.errors import Unreachable
from core.files import write_atomic, writing
from core.logs import get_logger
from net.origin import handshake
from net.tls import Trust

log = get_logger(__name__)


async def few_roots(
    hosts: Iterable[str], *, trust: Trust, proxy: str, state_dir: Path, timeout_s: float = 10.0
) -> Path:
    """Return a bundle of the roots that these hosts' verified chains end in; the whole one if none can be asked."""
    looks = (handshake(f"https://{host}/", root_of, trust=trust, proxy=proxy, timeout_s=timeout_s) for host in hosts)
    found = set[str]()
    for each in await asyncio.gather(*looks, return_exceptions=True):
        if isinstance(each, Unreachable):
            log.info("roots_not_learned", error=str(each))
        elif isinstance(each, BaseException):
            raise each
        else:
            found.add(each)
    if not found:
        return trust.ca_path
    bundle = "\n".join(sorted(found))
    path = state_dir / "few-roots.pem"
    with writing(path):
        write_atomic(path, bundle.encode())
    return path


def root_of(connection: ssl.SSLObject) -> str:
    """Return the last certificate of the verified chain as PEM."""
    if hasattr(connection, "get_verified_chain"):  # Python 3.13
        return ssl.DER_cert_to_PEM_cert(connection.get_verified_chain()[-1])
    inner: Any = connection._sslobj  # type: ignore[attr-defined]  # 3.10 to 3.12 have it, without a public name
    return str(inner.get_verified_chain()[-1].public_bytes())
