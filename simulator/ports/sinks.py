"""Where messages to people end: a mail server and a webhook that keep what they get and send nothing on.

The mail server is the protocol alone, line by line; the sockets are elsewhere.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.answers.messages import Request, Response, json_answer, refusal

SMTP_HOST = "smtp.practice.test"
SMTP_PORTS = {25, 465, 587}
SMTPS_PORT = 465
"""TLS from the first byte; on the others STARTTLS."""
WEBHOOK_HOST = "hooks.practice.test"
KEPT = 1_000
"""Of mails and of webhook calls so many are kept, the newest."""
LARGEST_MAIL_BYTES = 10 << 20
LONGEST_LINE_BYTES = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """`user`: who logged in, "" for nobody."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    user: str
    over_tls: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One webhook call."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Sinks:
    """`fail_webhooks`: so many of the next calls get a 503. `refuse_mails`: so many of the next mails a 451."""

    mails: deque[Mail] = field(default_factory=lambda: deque(maxlen=KEPT))
    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=KEPT))
    fail_webhooks: int = 0
    refuse_mails: int = 0

    def webhook(self, request: Request) -> Response:
        """Keep a call; GET /received shows what came, so that any program can look."""
        if request.method == "GET" and request.url.path == "/received":
            return json_answer(200, self.received())
        if request.method == "GET":
            return refusal(404, "Not Found", "send something, or GET /received")
        self.calls.append(
            Call(method=request.method, target=request.target, headers=dict(request.headers), body=request.body)
        )
        if self.fail_webhooks:
            self.fail_webhooks -= 1
            return refusal(503, "Service Unavailable", "as ordered")
        return json_answer(200, {"ok": True})

    def received(self) -> dict[str, Any]:
        """Return both kinds as plain values, oldest first."""
        mails = [
            {
                "sender": mail.sender,
                "recipients": list(mail.recipients),
                "content": mail.content.decode("utf-8", "replace"),
                "user": mail.user,
                "over_tls": mail.over_tls,
            }
            for mail in self.mails
        ]
        calls = [
            {
                "method": call.method,
                "target": call.target,
                "headers": dict(call.headers),
                "body": call.body.decode("utf-8", "replace"),
            }
            for call in self.calls
        ]
        return {"version": 1, "mails": mails, "calls": calls}


class SmtpSession:
    """One client of the mail server: bytes in, bytes out (RFC 5321, 3207, 4954). Any user and password are taken."""

    def __init__(self, sinks: Sinks, *, over_tls: bool) -> None:
        self._sinks = sinks
        self.over_tls = over_tls
        self.wants_tls = False
        self.over = False
        self._user = ""
        self._waiting = b""
        self._data: bytearray | None = None
        self._auth: list[str] | None = None
        self._forget()

    def greeting(self) -> bytes:
        return b"220 %b ESMTP practice\r\n" % SMTP_HOST.encode()

    def receive(self, data: bytes) -> bytes:
        """Return what to send. With `wants_tls` the caller shakes hands and then calls `secured`."""
        *lines, self._waiting = (self._waiting + data).split(b"\r\n")
        answers = [self._take(line) for line in lines if not self.wants_tls and not self.over]
        if len(self._waiting) > LONGEST_LINE_BYTES and not self.over:
            self.over = True
            answers.append(b"500 5.5.6 Line too long")
        return b"".join(answer + b"\r\n" for answer in answers if answer)

    def secured(self) -> None:
        """Start anew over TLS: what was said before does not count."""
        self.over_tls, self.wants_tls, self._waiting, self._user = True, False, b"", ""
        self._forget()

    def _forget(self) -> None:
        self._sender: str | None = None
        self._recipients: list[str] = []

    def _take(self, line: bytes) -> bytes:
        if self._data is not None:
            return self._content(self._data, line)
        if self._auth is not None:
            return self._log_in(self._auth, line.decode("ascii", "replace"))
        verb, _, argument = line.decode("utf-8", "replace").partition(" ")
        return self._command(verb.upper(), argument.strip())

    def _command(self, verb: str, argument: str) -> bytes:
        match verb:
            case "EHLO" | "HELO":
                self._forget()
                return self._hello(verb)
            case "STARTTLS" if not self.over_tls:
                self.wants_tls = True
                return b"220 2.0.0 Ready to start TLS"
            case "AUTH":
                return self._begin_log_in(argument)
            case "MAIL" | "RCPT" | "DATA":
                return self._envelope(verb, argument)
            case "RSET":
                self._forget()
                return b"250 2.0.0 Ok"
            case "NOOP":
                return b"250 2.0.0 Ok"
            case "QUIT":
                self.over = True
                return b"221 2.0.0 Bye"
        return b"502 5.5.2 Command not recognized"

    def _hello(self, verb: str) -> bytes:
        host = SMTP_HOST.encode()
        if verb == "HELO":
            return b"250 " + host
        upgrade = [] if self.over_tls else [b"STARTTLS"]
        login = [b"AUTH PLAIN LOGIN"] if self.over_tls else []
        words = [host, b"SIZE %d" % LARGEST_MAIL_BYTES, b"8BITMIME", *upgrade, *login]
        return b"\r\n".join([*(b"250-" + word for word in words[:-1]), b"250 " + words[-1]])

    def _begin_log_in(self, argument: str) -> bytes:
        if not self.over_tls:
            return b"538 5.7.11 Encryption required for requested authentication mechanism"
        mechanism, _, first = argument.partition(" ")
        if mechanism.upper() not in ("PLAIN", "LOGIN"):
            return b"504 5.5.4 Unrecognized authentication type"
        self._auth = [mechanism.upper()]
        if first:
            return self._log_in(self._auth, first)
        return b"334 " if mechanism.upper() == "PLAIN" else b"334 " + b64encode(b"Username:")

    def _log_in(self, words: list[str], text: str) -> bytes:
        words.append(_decoded(text))
        if words[0] == "LOGIN" and len(words) < 3:
            return b"334 " + b64encode(b"Password:")
        self._auth = None
        self._user = words[1].split("\0")[1] if words[0] == "PLAIN" and "\0" in words[1] else words[1]
        return b"235 2.7.0 Authentication successful"

    def _envelope(self, verb: str, argument: str) -> bytes:
        if verb == "MAIL":
            self._forget()
            self._sender = _address(argument)
            return b"250 2.1.0 Ok"
        if self._sender is None:
            return b"503 5.5.1 Error: need MAIL command"
        if verb == "RCPT":
            self._recipients.append(_address(argument))
            return b"250 2.1.5 Ok"
        if not self._recipients:
            return b"503 5.5.1 Error: need RCPT command"
        self._data = bytearray()
        return b"354 End data with <CR><LF>.<CR><LF>"

    def _content(self, content: bytearray, line: bytes) -> bytes:
        if line != b".":
            content += line.removeprefix(b".") + b"\r\n"
            if len(content) > LARGEST_MAIL_BYTES:
                self.over = True
                return b"552 5.3.4 Message too big"
            return b""
        self._data = None
        if self._sinks.refuse_mails:
            self._sinks.refuse_mails -= 1
            self._forget()
            return b"451 4.3.0 Try again later"
        self._sinks.mails.append(
            Mail(
                sender=self._sender or "",
                recipients=tuple(self._recipients),
                content=bytes(content),
                user=self._user,
                over_tls=self.over_tls,
            )
        )
        self._forget()
        return b"250 2.0.0 Ok: queued"


def _address(argument: str) -> str:
    """Return what stands between the angle brackets of FROM:<..> and TO:<..>."""
    return argument.partition("<")[2].partition(">")[0]


def _decoded(text: str) -> str:
    try:
        return b64decode(text).decode("utf-8", "replace")
    except Error:
        return ""
