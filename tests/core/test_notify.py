import json
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.notify import Notifier, parse
from core.progress import Progress


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(5)
        yield receiver


def close(notifier: Notifier) -> None:
    if notifier._socket is not None:
        notifier._socket.close()


def test_a_heartbeat_arrives_field_by_field(supervisor: socket.socket) -> None:
    notifier = Notifier(supervisor.getsockname())
    notifier.beat(
        data_at=datetime(2026, 11, 23, 14, 30, 0, 5_000, tzinfo=UTC),
        progress=Progress(stage="quotes", done=1, total=4, eta_s=3.0),
        coverage={"price": {"fresh": 3}},
        facts={"origin": "practice"},
    )
    fields = parse(supervisor.recv(4096))
    assert fields["WATCHDOG"] == "1"
    assert fields["X_DATA_AT"] == "2026-11-23T14:30:00.005Z"
    assert json.loads(fields["X_PROGRESS"]) == {"stage": "quotes", "done": 1, "total": 4, "eta_s": 3.0}
    assert json.loads(fields["X_COVERAGE"]) == {"price": {"fresh": 3}}
    assert json.loads(fields["X_FACTS"]) == {"origin": "practice"}
    close(notifier)


def test_a_bare_heartbeat_says_no_more_than_alive(supervisor: socket.socket) -> None:
    notifier = Notifier(supervisor.getsockname())
    notifier.beat()
    assert supervisor.recv(4096) == b"WATCHDOG=1"
    close(notifier)


def test_ready_stopping_and_status_are_the_words_that_systemd_knows(supervisor: socket.socket) -> None:
    notifier = Notifier(supervisor.getsockname())
    notifier.ready()
    notifier.status("receiving")
    notifier.stopping()
    assert [supervisor.recv(99) for _ in range(3)] == [b"READY=1", b"STATUS=receiving", b"STOPPING=1"]
    close(notifier)


def test_a_status_is_said_once_until_it_changes_or_did_not_arrive(supervisor: socket.socket) -> None:
    notifier = Notifier(supervisor.getsockname())
    for text in ("receiving", "receiving", "away", "receiving"):
        notifier.status(text)
    assert [supervisor.recv(99) for _ in range(3)] == [b"STATUS=receiving", b"STATUS=away", b"STATUS=receiving"]
    address, notifier._address = notifier._address, "/nowhere"
    notifier.status("lost")
    notifier._address = address
    notifier.status("lost")
    assert supervisor.recv(99) == b"STATUS=lost"
    close(notifier)


def test_a_reload_says_when_and_a_stop_how_long_it_may_take(supervisor: socket.socket) -> None:
    notifier = Notifier(supervisor.getsockname())
    notifier.reloading(monotonic_s=12.5)
    notifier.stopping(within_s=21.0)
    assert supervisor.recv(99) == b"RELOADING=1\nMONOTONIC_USEC=12500000"
    assert supervisor.recv(99) == b"STOPPING=1\nEXTEND_TIMEOUT_USEC=21000000"
    close(notifier)


def test_a_line_end_in_a_value_cannot_make_a_field_of_its_own(supervisor: socket.socket) -> None:
    notifier = Notifier(supervisor.getsockname())
    notifier.status("failed:\nREADY=1\r\nMAINPID=1")
    assert parse(supervisor.recv(4096)) == {"STATUS": "failed: READY=1 MAINPID=1"}
    close(notifier)


def test_an_address_that_starts_with_an_at_sign_is_in_the_abstract_namespace() -> None:
    name = f"tickerd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0{name}")
        receiver.settimeout(5)
        notifier = Notifier.from_environment({"NOTIFY_SOCKET": f"@{name}"})
        notifier.ready()
        assert receiver.recv(99) == b"READY=1"
        assert notifier.failed == 0
        close(notifier)


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}])
def test_without_a_supervisor_nothing_is_sent_and_nothing_fails(environ: dict[str, str]) -> None:
    notifier = Notifier.from_environment(environ)
    notifier.ready()
    notifier.beat()
    assert notifier.failed == 0


def test_a_supervisor_that_is_gone_is_counted_and_never_raised(tmp_path: Path, supervisor: socket.socket) -> None:
    notifier = Notifier(supervisor.getsockname())
    notifier.ready()
    supervisor.close()
    (tmp_path / "notify").unlink()
    notifier.beat()
    notifier.beat()
    assert notifier.failed == 2
    close(notifier)


def test_a_supervisor_that_does_not_read_never_blocks_the_child(supervisor: socket.socket) -> None:
    notifier = Notifier(supervisor.getsockname())
    for _ in range(2000):
        notifier.beat()
    assert notifier.failed > 0
    close(notifier)


def test_an_address_too_long_for_a_socket_is_counted() -> None:
    notifier = Notifier("/" + "a" * 200)
    notifier.ready()
    assert notifier.failed == 1
    close(notifier)


def test_a_text_that_utf8_cannot_hold_is_sent_all_the_same(supervisor: socket.socket) -> None:
    notifier = Notifier(supervisor.getsockname())
    notifier.status("file \udcff")
    assert supervisor.recv(99) == b"STATUS=file ?"
    close(notifier)


def test_lines_without_an_equals_sign_are_left_out_and_a_value_keeps_its_own() -> None:
    assert parse(b"READY=1\nrubbish\n\nX_FACTS=a=b\nBAD=\xff") == {"READY": "1", "X_FACTS": "a=b", "BAD": "\ufffd"}
