import asyncio
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core import config, logs
from core.errors import FixByHand
from core.program import SETTINGS_VARIABLE, child_settings, lost_errors_logged, print_error

ROOT = Path(__file__).parents[2]
FRAME = """
import asyncio, sys
from core import program
from core.errors import FixByHand, NotRunning, RetryLater, TickerdError, Unreachable
async def main(settings, stop, notifier):
{body}
sys.exit(program.run(main, service="test"))
"""


def started(body: str, folder: Path, **environ: str) -> subprocess.Popen[str]:
    code = FRAME.format(body="\n".join("    " + line for line in body.splitlines()))
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("kind", "exit_code"), [("TickerdError", 1), ("NotRunning", 3), ("Unreachable", 69), ("RetryLater", 75)]
)
def test_each_error_class_ends_the_process_with_its_exit_code_and_one_line(
    tmp_path: Path, kind: str, exit_code: int
) -> None:
    child = started(f'raise {kind}("lost", where="here", key="k", right="look")', tmp_path)
    _, errors = child.communicate()
    logged, said = errors.splitlines()
    assert child.returncode == exit_code
    assert said == "tickerd: here: k: lost; look"
    assert json.loads(logged)["message"] == "process_failed"
    assert json.loads(logged)["exit_code"] == exit_code


def test_a_wrong_configuration_is_one_line_and_78(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[prices]\ncycle_s = -1\n")
    child = started("raise AssertionError", tmp_path)
    _, errors = child.communicate()
    assert child.returncode == 78
    assert errors.startswith(f"tickerd: {tmp_path}/config.toml: prices.cycle_s: ")
    assert errors.count("\n") == 1


@pytest.mark.parametrize(("result", "exit_code"), [("None", 0), ("0", 0), ("5", 5)])
def test_what_the_work_returns_is_the_exit_code(tmp_path: Path, result: str, exit_code: int) -> None:
    child = started(f"return {result}", tmp_path)
    assert child.communicate() == ("", "")
    assert child.returncode == exit_code


def test_a_crash_is_logged_with_its_traceback_and_ends_with_1(tmp_path: Path) -> None:
    child = started('raise ValueError("spilt")', tmp_path)
    _, errors = child.communicate()
    event = json.loads(errors)
    assert child.returncode == 1
    assert event["message"] == "process_crashed"
    assert "ValueError: spilt" in event["exception"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_the_work_to_stop_and_lets_it_finish(tmp_path: Path, number: signal.Signals) -> None:
    body = 'print("running", flush=True)\nawait stop.wait()\nprint("flushed")\nreturn 0'
    child = started(body, tmp_path)
    assert child.stdout is not None
    assert child.stdout.readline() == "running\n"
    child.send_signal(number)
    output, errors = child.communicate(timeout=60)
    assert (child.returncode, output, errors) == (0, "flushed\n", "")


def test_settings_handed_over_by_the_orchestrator_come_before_any_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.toml").write_text("[prices]\ncycle_s = 5\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(SETTINGS_VARIABLE, raising=False)
    assert child_settings().prices.cycle_s == 5.0
    handed = config.load(None, {"TICKERD_PRICES__CYCLE_S": "7"}, tmp_path).settings
    (tmp_path / "settings.json").write_bytes(config.dump(handed))
    monkeypatch.setenv(SETTINGS_VARIABLE, str(tmp_path / "settings.json"))
    assert child_settings() == handed


def test_an_error_is_printed_with_the_programs_name(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(FixByHand("is wrong", where="config.toml", key="api.port", right="give a number"))
    assert capsys.readouterr().err == "tickerd: config.toml: api.port: is wrong; give a number\n"


def test_without_standard_error_an_error_is_not_printed_and_does_not_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = io.StringIO()
    monkeypatch.setattr(sys, "stdout", elsewhere)  # where Python prints what is for a file of None
    monkeypatch.setattr(sys, "stderr", None)
    print_error(FixByHand("is wrong"))
    assert elsewhere.getvalue() == ""


async def test_an_error_that_nobody_awaits_is_one_line_of_the_log_and_no_traceback() -> None:
    stream = io.StringIO()
    logs.configure(service="test", level="info", style="json", stream=stream)
    loop = asyncio.get_running_loop()

    with lost_errors_logged():
        loop.call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)  # noqa: TID251  (lets the callback run)

    (line,) = stream.getvalue().splitlines()
    event = json.loads(line)
    assert (event["message"], event["error"]) == ("error_lost", "ZeroDivisionError('division by zero')")
    loop.set_exception_handler(None)


def test_the_reason_of_the_end_is_the_last_line_whatever_the_closing_loop_drops(tmp_path: Path) -> None:
    body = """
dropped = asyncio.get_running_loop().create_future()
dropped.set_exception(OSError("debris"))
raise FixByHand("is broken", where="x.db")
"""
    with started(body, tmp_path) as process:
        _, said = process.communicate(timeout=60)

    assert said.splitlines()[-1] == "tickerd: x.db: is broken"
    assert "Traceback" not in said
