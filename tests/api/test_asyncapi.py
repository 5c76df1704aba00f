from __future__ import annotations

from api.asyncapi import asyncapi
from api.route import WEBSOCKET
from api.routes import ROUTES


def test_every_stream_of_the_table_is_a_channel_with_an_operation() -> None:
    document = asyncapi()
    told = [route for route in ROUTES if route.method == WEBSOCKET or "text/event-stream" in route.media]
    streams = {path for route in told for path in route.paths}
    assert {channel["address"] for channel in document["channels"].values()} == streams
    assert {each["channel"]["$ref"] for each in document["operations"].values()} == {
        f"#/channels/{name}" for name in document["channels"]
    }


def test_every_reference_leads_somewhere() -> None:
    document = asyncapi()
    known = {f"#/components/messages/{name}" for name in document["components"]["messages"]}
    used = {message["$ref"] for channel in document["channels"].values() for message in channel["messages"].values()}
    assert used <= known
