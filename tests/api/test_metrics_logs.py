from __future__ import annotations

from pathlib import Path

from api.metrics import Sheet
from api.metrics_logs import Logs


def line(level: str, message: str = "x") -> str:
    return f'{{"log.level":"{level}","message":"{message}"}}\n'


def told(logs: Logs) -> dict[str, str]:
    logs.read()
    sheet = Sheet()
    logs.put(sheet)
    lines = (each.rsplit(" ", 1) for each in sheet.text().decode().splitlines() if not each.startswith("#"))
    return {name.removeprefix("stocks_"): value for name, value in lines}


WARNINGS, RELOADED = 'log_messages_total{level="warning"}', "config_last_reload_successful"


def test_a_line_is_counted_once_and_when_it_is_whole(tmp_path: Path) -> None:
    logs, file = Logs(tmp_path), tmp_path / "prices.jsonl"
    assert told(logs)[WARNINGS] == "0"
    file.write_text(line("warning") + line("info") + line("warning")[:9])
    assert [told(logs)[WARNINGS] for _ in range(2)] == ["1", "1"]
    with file.open("a") as more:
        more.write(line("warning")[9:])
    assert told(logs)[WARNINGS] == "2"


def test_a_file_that_made_room_for_a_new_one_is_read_from_its_begin(tmp_path: Path) -> None:
    logs, file = Logs(tmp_path), tmp_path / "prices.jsonl"
    file.write_text(line("warning") * 3)
    assert told(logs)[WARNINGS] == "3"
    file.rename(tmp_path / "prices.jsonl.1")
    file.write_text(line("warning") * 4)
    assert told(logs)[WARNINGS] == "7"


def test_the_last_reload_counts(tmp_path: Path) -> None:
    logs, file = Logs(tmp_path), tmp_path / "tickerd.jsonl"
    assert told(logs)[RELOADED] == "1"
    file.write_text(line("info", "settings_reloaded") + line("warning", "reload_refused"))
    assert told(logs)[RELOADED] == "0"
    with file.open("a") as more:
        more.write(line("info", "settings_reloaded"))
    assert told(logs)[RELOADED] == "1"


def test_an_alert_that_the_command_did_not_take_counts(tmp_path: Path) -> None:
    logs, untold = Logs(tmp_path), 'notifications_total{channel="command",outcome="error"}'
    assert told(logs)[untold] == "0"
    (tmp_path / "tickerd.jsonl").write_text(line("info", "alert_raised") + line("warning", "alert_command_failed"))
    assert told(logs)[untold] == "1"
