from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from core.errors import NotRunning
from daemon.client import ask


def test_without_a_daemon_the_error_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match=r"control\.sock: no orchestrator answers; start it with `tickerd run`"):
        ask(tmp_path, {"command": "status"})
    with pytest.raises(NotRunning, match="no orchestrator answers"):
        ask(tmp_path / "absent", {"command": "status"})


def test_a_stale_socket_means_that_nobody_answers(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control.sock"))
    with pytest.raises(NotRunning, match="no orchestrator answers"):
        ask(tmp_path, {"command": "status"})


def test_a_daemon_that_hangs_is_not_waited_for_long(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control.sock"))
        listener.listen()
        with pytest.raises(NotRunning, match=r"gives no answer within 0\.05 s"):
            ask(tmp_path, {"command": "status"}, timeout_s=0.05)


def test_an_answer_that_trickles_in_is_not_waited_for_longer_than_told(tmp_path: Path) -> None:
    ended = threading.Event()

    def trickle() -> None:
        connection, _ = listener.accept()
        with connection:
            while not ended.wait(0.02):
                connection.send(b" ")

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control.sock"))
        listener.listen()
        thread = threading.Thread(target=trickle)
        thread.start()
        with pytest.raises(NotRunning, match=r"gives no answer within 0\.2 s"):
            ask(tmp_path, {"command": "status"}, timeout_s=0.2)
        ended.set()
        thread.join()


def test_without_a_token_file_nobody_answers_on_loopback(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match=r"control\.token: no orchestrator answers"):
        ask(tmp_path, {"command": "status"}, transport="tcp")
    (tmp_path / "control.token").write_text('{"port": "x"}')
    with pytest.raises(NotRunning, match="no orchestrator answers"):
        ask(tmp_path, {"command": "status"}, transport="tcp")
