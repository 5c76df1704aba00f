from __future__ import annotations

import os
import subprocess
from pathlib import Path

import click
import pytest

from cli.main import COMMANDS, main
from cli.main import tickerd as group
from tests.fix_cli import COMMAND, Run, clean_environ, tickerd


def all_commands(command: click.Command, *path: str) -> list[tuple[str, ...]]:
    """Return the words of every command that is no group."""
    if not isinstance(command, click.Group):
        return [path]
    context = click.Context(command)
    children = {name: command.get_command(context, name) for name in command.list_commands(context)}
    return [words for name, child in children.items() if child for words in all_commands(child, *path, name)]


EVERY = all_commands(group)


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_the_help_of_each_command_names_its_options_and_config_and_json_are_among_them(
    here: Run, words: tuple[str, ...]
) -> None:
    ended = here(*words, "--help")

    assert (ended.code, ended.err) == (0, "")
    for option in ("--config FILE", "--json", "-h, --help"):
        assert option in ended.out
    assert ended.out.startswith(f"Usage: tickerd {' '.join(words)} [OPTIONS]")


def test_the_help_lists_every_command_with_a_whole_sentence(here: Run) -> None:
    ended = here("--help")

    assert ended.code == 0
    listed = ended.out.split("Commands:\n")[1].splitlines()
    assert [line.split()[0] for line in listed] == list(COMMANDS)
    assert all(line.endswith(".") and not line.endswith("...") for line in listed)


@pytest.mark.parametrize("words", ["universe", "db", "config"])
def test_the_help_of_a_group_lists_its_commands_with_whole_sentences(here: Run, words: str) -> None:
    ended = here(words, "--help")

    assert ended.code == 0
    assert "..." not in ended.out.split("Commands:\n")[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nosuch"], "tickerd: No such command 'nosuch'; see `tickerd --help`\n"),
        (["plan", "--days", "0"], "see `tickerd plan --help`"),
        (["plan", "--days", "x"], "'x' is not a valid integer"),
        (["plan", "extra"], "tickerd: plan: "),
        (["quote"], "tickerd: quote: Missing argument 'TICKERS...'"),
        (["scanner", "cooking"], "is not one of 'prices', 'metrics', 'daily'"),
        (["status", "--nosuch"], "--nosuch"),
        (["start"], "Missing argument 'NAME'"),
        (["demo", "--seconds", "0"], "tickerd: demo: "),
        (["universe", "import"], "tickerd: universe import: Missing argument 'FILE'"),
        (["logs", "-n", "-1"], "tickerd: logs: "),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_one_line_and_exit_2(here: Run, words: list[str], said: str) -> None:
    here(*words).fails(2, said)


def test_nothing_asked_shows_the_help_and_exits_2(here: Run) -> None:
    ended = here()

    assert (ended.code, ended.out) == (2, "")
    assert "tickerd demo       see it work now" in ended.err


def test_a_prompt_that_is_not_confirmed_changes_nothing_and_exits_1(tmp_path: Path) -> None:
    tickerd("db", "upgrade", folder=tmp_path)

    ended = tickerd("db", "downgrade", "base", folder=tmp_path)

    assert ended.code == 1
    assert ended.err == "tickerd: not confirmed, nothing was changed; answer y, or give --yes\n"
    assert tickerd("db", "check", folder=tmp_path).code == 0


def test_the_installed_command_says_its_version(tmp_path: Path) -> None:
    ended = tickerd("--version", folder=tmp_path)

    assert (ended.code, ended.out, ended.err) == (0, "tickerd, version 0.1.0\n", "")


@pytest.mark.parametrize(
    ("words", "code"),
    [(["logs"], 1), (["nosuch"], 2), (["status"], 3), (["config", "check", "--config", "no.toml"], 78)],
)
def test_the_installed_command_ends_with_one_line_and_the_code_of_its_error(
    tmp_path: Path, words: list[str], code: int
) -> None:
    tickerd(*words, folder=tmp_path).fails(code)


def test_a_reader_that_has_left_is_no_failure(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    command = [str(COMMAND), "config", "show"]
    ended = subprocess.run(command, cwd=tmp_path, env=clean_environ(), stdout=writer, stderr=subprocess.PIPE)

    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_status_imports_neither_a_database_nor_the_network(tmp_path: Path) -> None:
    words = "import sys; from cli.main import main; main(['status']); "
    words += "print(sorted({'sqlalchemy', 'curl_cffi', 'websockets', 'yfinance'} & set(sys.modules)))"
    python = COMMAND.with_name("python")

    ended = subprocess.run([python, "-c", words], cwd=tmp_path, env=clean_environ(), capture_output=True, text=True)

    assert ended.stdout == "[]\n"


def test_ctrl_c_in_the_middle_of_a_command_is_exit_130(here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cli.plan.load", interrupted)

    assert here("plan").code == 130
    assert main(["--version"]) == 0
