from __future__ import annotations

import json
from base64 import b64encode

import pytest

from simulator.answers.messages import Request
from simulator.ports.sinks import LARGEST_MAIL_BYTES, Sinks, SmtpSession


def talk(session: SmtpSession, *lines: str) -> list[str]:
    """Send each line and return the last line of each answer."""
    return [session.receive(f"{line}\r\n".encode()).decode().rstrip().rpartition("\r\n")[2] for line in lines]


ENVELOPE = (
    "EHLO me",
    "MAIL FROM:<a@example.com> SIZE=30",
    "RCPT TO:<b@example.com>",
    "RCPT TO:<c@example.com>",
    "DATA",
)


def test_a_mail_is_kept_with_its_envelope() -> None:
    sinks = Sinks()
    session = SmtpSession(sinks, over_tls=False)
    answers = talk(session, *ENVELOPE, "Subject: hi", "", "..dots", ".", "QUIT")

    assert [answer[:3] for answer in answers] == ["250", "250", "250", "250", "354", "", "", "", "250", "221"]
    (mail,) = sinks.mails
    assert (mail.sender, mail.recipients) == ("a@example.com", ("b@example.com", "c@example.com"))
    assert mail.content == b"Subject: hi\r\n\r\n.dots\r\n"
    assert (mail.user, mail.over_tls, session.over) == ("", False, True)


def test_bytes_may_come_in_any_pieces() -> None:
    sinks = Sinks()
    session = SmtpSession(sinks, over_tls=True)
    text = "\r\n".join([*ENVELOPE, "body", ".", "QUIT", ""]).encode()
    whole = b"".join(session.receive(text[at : at + 1]) for at in range(len(text)))

    assert whole.count(b"\r\n") == 4 + 6  # EHLO's answer has four lines
    assert len(sinks.mails) == 1


@pytest.mark.parametrize(
    "lines",
    [
        ("AUTH PLAIN " + b64encode(b"\0user\0secret").decode(),),
        ("AUTH PLAIN", b64encode(b"\0user\0secret").decode()),
        ("AUTH LOGIN", b64encode(b"user").decode(), b64encode(b"secret").decode()),
    ],
)
def test_who_logs_in_is_written_on_the_mail_and_the_password_nowhere(lines: tuple[str, ...]) -> None:
    sinks = Sinks()
    session = SmtpSession(sinks, over_tls=True)

    assert talk(session, "EHLO me", *lines)[-1].startswith("235")
    talk(session, *ENVELOPE[1:], "body", ".")
    assert sinks.mails[0].user == "user"
    assert "secret" not in repr(sinks)


def test_nobody_logs_in_without_tls() -> None:
    assert talk(SmtpSession(Sinks(), over_tls=False), "AUTH PLAIN AAAA")[0].startswith("538")


def test_after_starttls_everything_begins_anew() -> None:
    session = SmtpSession(Sinks(), over_tls=False)
    greeting = session.receive(b"EHLO me\r\n")
    assert b"STARTTLS" in greeting
    assert b"AUTH" not in greeting
    talk(session, "MAIL FROM:<a@example.com>")
    # What is sent in the clear behind STARTTLS is not obeyed (RFC 3207 section 6).
    session.receive(b"STARTTLS\r\nRCPT TO:<b@example.com>\r\nNOO")
    assert session.wants_tls
    session.secured()

    assert talk(session, "P", "RCPT TO:<b@example.com>") == [
        "502 5.5.2 Command not recognized",
        "503 5.5.1 Error: need MAIL command",
    ]
    assert b"AUTH" in session.receive(b"EHLO me\r\n")


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (("RCPT TO:<b@example.com>",), "503"),
        (("MAIL FROM:<a@example.com>", "DATA"), "503"),
        (("NONSENSE",), "502"),
        (("AUTH DIGEST-MD5",), "504"),
        (("VRFY someone",), "502"),
        (("\xff\xfe",), "502"),
        (("RSET",), "250"),
        (("NOOP",), "250"),
        (("HELO me",), "250"),
    ],
)
def test_orders_out_of_turn_or_unknown_are_refused_by_code(lines: tuple[str, ...], code: str) -> None:
    assert talk(SmtpSession(Sinks(), over_tls=True), *lines)[-1].startswith(code)


def test_a_line_without_end_and_a_mail_without_end_are_cut_off() -> None:
    endless = SmtpSession(Sinks(), over_tls=False)
    assert endless.receive(b"A" * 5_000).startswith(b"500")
    assert endless.over

    sinks = Sinks()
    big = SmtpSession(sinks, over_tls=False)
    talk(big, *ENVELOPE)
    assert big.receive((b"x" * 70 + b"\r\n") * (LARGEST_MAIL_BYTES // 70)).startswith(b"552")
    assert not sinks.mails


def test_a_mail_server_can_be_told_to_ask_for_later() -> None:
    sinks = Sinks(refuse_mails=1)
    session = SmtpSession(sinks, over_tls=False)

    assert talk(session, *ENVELOPE, "body", ".")[-1].startswith("451")
    assert talk(session, *ENVELOPE, "body", ".")[-1].startswith("250")
    assert len(sinks.mails) == 1


def call(sinks: Sinks, method: str, target: str, body: bytes = b"") -> tuple[int, object]:
    headers = {"content-type": "application/json"}
    request = Request(method=method, host="hooks.practice.test", target=target, headers=headers, body=body)
    answer = sinks.webhook(request)
    return answer.status, json.loads(answer.body)


def test_a_webhook_call_is_kept_and_shown() -> None:
    sinks = Sinks()

    assert call(sinks, "POST", "/alerts?x=1", b'{"text":"hi"}') == (200, {"ok": True})
    status, shown = call(sinks, "GET", "/received")
    assert (status, shown) == (
        200,
        {
            "version": 1,
            "mails": [],
            "calls": [
                {
                    "method": "POST",
                    "target": "/alerts?x=1",
                    "headers": {"content-type": "application/json"},
                    "body": '{"text":"hi"}',
                }
            ],
        },
    )


def test_a_webhook_can_be_told_to_fail_and_keeps_the_call_all_the_same() -> None:
    sinks = Sinks(fail_webhooks=1)

    assert [call(sinks, "PUT", "/")[0] for _ in range(2)] == [503, 200]
    assert len(sinks.calls) == 2
    assert call(sinks, "GET", "/")[0] == 404


def test_only_the_newest_thousand_are_kept() -> None:
    sinks = Sinks()
    for number in range(1_005):
        call(sinks, "POST", f"/{number}")

    assert (len(sinks.calls), sinks.calls[0].target) == (1_000, "/5")
