"""The routes of streams: the one of /api/v1 in both transports, and the older paths. Tells nothing itself."""

from __future__ import annotations

from api.route import Route
from api.streams import conversation, older, server_sent

TAG = "streams"
STREAM = "/api/v1/stream"

ROUTES = (
    # "public" because a browser's socket says who it is in its first message; nothing is told before.
    Route(method="WS", path=STREAM, handler=conversation.stream, scope="public", tag=TAG),
    Route(method="WS", path="/ws/scan/{scan_id}", handler=older.scan_enveloped, scope="read", tag=TAG),
    Route(method="WS", path="/scan/ws/{scan_id}", handler=older.scan_flat, scope="read", tag=TAG),
    Route(method="WS", path="/ws/results/{scan_id}", handler=older.scan_results, scope="read", tag=TAG),
    Route(method="WS", path="/ws/signals", handler=older.signals, scope="read", tag=TAG),
    Route(method="WS", path="/ws/market-data", handler=older.market_data, scope="read", tag=TAG),
    Route(method="WS", path="/ws/scanner-status", handler=older.scanner_status, scope="read", tag=TAG),
    Route(
        method="GET",
        path=STREAM,
        handler=server_sent.stream,
        scope="read",
        tag=TAG,
        problems=(404,),
        media=(server_sent.MEDIA_TYPE,),
    ),
    Route(
        method="GET",
        path="/scan/stream/{scan_id}",
        handler=server_sent.scan_progress,
        scope="read",
        tag=TAG,
        problems=(404,),
        media=(server_sent.MEDIA_TYPE,),
    ),
)
