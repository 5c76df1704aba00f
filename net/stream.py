"""WebSocket connections: verified TLS, the one configured proxy, no compression.

Never reads the environment, never follows a redirect.
"""

from __future__ import annotations

from asyncio import sslproto

from websockets.asyncio.client import connect

from net.tls import Trust

OPEN_TIMEOUT_S = 8.0
PING_INTERVAL_S = 10.0
PING_TIMEOUT_S = 8.0
"""A frozen peer answers no ping: found within 18 s."""
CLOSE_TIMEOUT_S = 1.0
MAX_FRAME_BYTES = 1024 * 1024
MAX_QUEUED_FRAMES = 256

# asyncio clears a read buffer of 256 KiB for each TLS connection: 22 MB for 89 of them, whose frames are 100 bytes.
sslproto.SSLProtocol.max_size = 16 * 1024


class _Unredirected(connect):
    """Stays with the host whose certificate was probed: a redirect is a refusal like any other."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


def open_stream(url: str, *, trust: Trust, proxy: str, origin: str) -> connect:
    """Return a connection to be entered with `async with`."""
    return _Unredirected(
        url,
        ssl=trust.context,
        proxy=proxy or None,  # True, the library's default, would take HTTPS_PROXY from the environment
        origin=origin,  # type: ignore[arg-type]  # a NewType of str
        compression=None,
        open_timeout=OPEN_TIMEOUT_S,
        ping_interval=PING_INTERVAL_S,
        ping_timeout=PING_TIMEOUT_S,
        close_timeout=CLOSE_TIMEOUT_S,
        max_size=MAX_FRAME_BYTES,
        max_queue=MAX_QUEUED_FRAMES,
    )
