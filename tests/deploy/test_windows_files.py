"""The files of deploy/windows, as far as they can be read anywhere. What runs them: tests/windows."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

WINDOWS = Path(__file__).parents[2] / "deploy" / "windows"
TASK = WINDOWS / "tickerd-task.xml"
BATCH = WINDOWS / "START_PRODUCTION_SCANNERS.bat"
SPACE = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
KNOWN = {
    "Task": ["RegistrationInfo", "Triggers", "Principals", "Settings", "Actions"],
    "RegistrationInfo": ["Description", "URI"],
    "Triggers": ["BootTrigger"],
    "BootTrigger": ["Enabled", "Delay"],
    "Principals": ["Principal"],
    "Principal": ["UserId", "RunLevel"],
    "Settings": [
        "MultipleInstancesPolicy",
        "DisallowStartIfOnBatteries",
        "StopIfGoingOnBatteries",
        "AllowHardTerminate",
        "StartWhenAvailable",
        "Enabled",
        "ExecutionTimeLimit",
        "RestartOnFailure",
    ],
    "RestartOnFailure": ["Interval", "Count"],
    "Actions": ["Exec"],
    "Exec": ["Command", "WorkingDirectory"],
}
"""Element -> its children in this order, as the Task Scheduler schema 1.2 names them ([MS-TSCH] 2.5)."""


def task() -> ElementTree.Element:
    return ElementTree.fromstring(TASK.read_bytes())


def value(path: str) -> str:
    found = task().findtext("/".join(f"{SPACE}{name}" for name in path.split("/")))
    assert found is not None
    return found


def test_the_task_is_in_the_encoding_that_windows_writes() -> None:
    content = TASK.read_bytes()
    assert content.startswith('\ufeff<?xml version="1.0" encoding="UTF-16"?>\r\n'.encode("utf-16-le"))
    assert content.decode("utf-16").count("\n") == content.decode("utf-16").count("\r\n")


def test_the_task_holds_what_the_schema_knows_and_nothing_else() -> None:
    root = task()
    assert root.tag == f"{SPACE}Task"
    assert root.attrib == {"version": "1.2"}
    for element in root.iter():
        name = element.tag.removeprefix(SPACE)
        assert [child.tag.removeprefix(SPACE) for child in element] == KNOWN.get(name, []), name
        assert (element.text or "").strip() or name in KNOWN


def test_the_task_starts_with_the_machine_and_again_each_minute_after_a_failure() -> None:
    assert value("Triggers/BootTrigger/Enabled") == "true"
    assert value("Settings/RestartOnFailure/Interval") == "PT1M"
    assert int(value("Settings/RestartOnFailure/Count")) == 999  # the most that the schema allows
    assert value("Settings/ExecutionTimeLimit") == "PT0S"  # no limit; the standard would end it after three days
    assert value("Settings/MultipleInstancesPolicy") == "IgnoreNew"
    assert value("Settings/DisallowStartIfOnBatteries") == "false"


def test_the_task_runs_the_batch_file_without_high_rights() -> None:
    assert value("Actions/Exec/Command").rpartition("\\")[2] == BATCH.name
    assert value("Principals/Principal/RunLevel") == "LeastPrivilege"
    assert value("Principals/Principal/UserId") == "S-1-5-19"  # LOCAL SERVICE
    ids = {task().find(f"{SPACE}Principals/{SPACE}Principal").get("id"), task().find(f"{SPACE}Actions").get("Context")}  # type: ignore[union-attr]
    assert ids == {"Author"}


def test_the_batch_file_has_the_line_ends_that_its_interpreter_needs() -> None:
    content = BATCH.read_bytes()
    assert content.isascii()
    assert content.count(b"\n") == content.count(b"\r\n") > 0
    assert content.endswith(b"\r\n")


def test_every_jump_of_the_batch_file_has_its_label() -> None:
    lines = BATCH.read_text(encoding="ascii").splitlines()
    labels = {line[1:] for line in lines if line.startswith(":")}
    assert set(re.findall(r"goto (\w+)", "\n".join(lines))) == labels
    assert lines[-2:] == [r".venv\Scripts\tickerd.exe run %*", "exit /b %ERRORLEVEL%"]
