"""The mail server's connections: bytes between a socket and an SmtpSession, and STARTTLS. Decides nothing."""

from __future__ import annotations

import asyncio
import ssl

from simulator.ports.sinks import SMTPS_PORT, Sinks, SmtpSession

READ_BYTES = 65_536
HANDSHAKE_S = 10.0


async def serve(
    sinks: Sinks, port: int, context: ssl.SSLContext, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Be the mail server on `port` to one client until one side has enough."""
    if port == SMTPS_PORT:
        await writer.start_tls(context, ssl_handshake_timeout=HANDSHAKE_S)
    session = SmtpSession(sinks, over_tls=port == SMTPS_PORT)
    writer.write(session.greeting())
    await writer.drain()
    while not session.over and (data := await reader.read(READ_BYTES)):
        writer.write(session.receive(data))
        await writer.drain()
        if session.wants_tls:
            await writer.start_tls(context, ssl_handshake_timeout=HANDSHAKE_S)
            session.secured()
