"""The shipped price scanner with picows in place of websockets, for `bench.stream`: all behind the socket is ours.

Not a transport of the product: it has no ping, and tells no cause of a loss. Run like `scanners.prices`.
"""

from __future__ import annotations

import os
import sys

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from core import tasks
from net.paced import paced_loop
from net.stream import MAX_FRAME_BYTES
from scanners.main import main
from scanners.prices import connection, work
from yahoo.stream import ORIGIN, subscribe_text


class Listener(WSListener):
    """Hands each text frame to the connection's own handler."""

    def __init__(self, shard: PicowsConnection) -> None:
        self._shard = shard

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.TEXT:
            self._shard._on_frame(frame.get_payload_as_bytes())


class PicowsConnection(connection.ShardConnection):
    """One connection of the price stream over picows."""

    async def _session(self) -> None:
        transport, _ = await ws_connect(
            lambda: Listener(self),
            self._prices.stream_url,
            ssl_context=self._trust.context,
            proxy=self._proxy or None,
            extra_headers={"Origin": ORIGIN},
            max_frame_size=MAX_FRAME_BYTES,
            max_redirects=0,
        )
        self.opened_s = self._clock.monotonic_s()
        repeating = tasks.spawn(self._repeat(transport), name=f"subscribe-{self.number}", on_error=self._told)
        try:
            await transport.wait_disconnected()
            raise ConnectionResetError("the connection is gone")
        finally:
            self.opened_s = self.canary_heard_s = None
            await tasks.cancel_all([repeating])

    async def _repeat(self, transport: WSTransport) -> None:
        while True:
            transport.send(WSMsgType.TEXT, subscribe_text(self._asked).encode())
            await self._clock.sleep(connection.RESUBSCRIBE_S)

    def _told(self, error: BaseException) -> None:
        self._on_failure(repr(error))


if __name__ == "__main__" and "TICKERD_SETTINGS" in os.environ:
    vars(work)["ShardConnection"] = PicowsConnection  # this process is nothing else
    sys.exit(main("prices", loop=paced_loop))
