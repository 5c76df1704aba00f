"""The documents and the code say the same: settings, events, columns, commands."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from cli.main import COMMANDS, main
from core.config import all_keys
from core.settings import Settings
from storage.schema import METADATA, VIEWS

ROOT = Path(__file__).parent.parent
PRODUCT = re.findall(r"^PARTS := (.*)$", (ROOT / "Makefile").read_text(), re.M)[0].split()
LEVELS = {"debug", "info", "warning", "error", "exception"}
STATE_CHANGE = re.compile(r"(scanner|breaker)_[a-z]+")
WITHOUT_DEFAULT = {"database.auto_upgrade", "api.secret"}
"""Its default depends on the database; it is made at the first start. config.toml shows both commented out."""


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def default_of(key: str) -> object:
    section, _, name = key.partition(".")
    return getattr(getattr(Settings(), section), name)


def is_log_call(node: ast.AST) -> bool:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS):
        return False
    return ast.unparse(node.func.value) == "log" and isinstance(node.args[0], ast.Constant)


def logged_events() -> set[str]:
    """Every constant that the product logs, and every state change of a child."""
    files = [file for folder in PRODUCT for file in (ROOT / folder).rglob("*.py")]
    calls = (node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    found = {node.args[0].value for node in calls if is_log_call(node)}  # type: ignore[attr-defined]
    child = ast.parse(text_of("daemon/child.py"))
    constants = {node.value for node in ast.walk(child) if isinstance(node, ast.Constant)}
    return found | {text for text in constants if isinstance(text, str) and STATE_CHANGE.fullmatch(text)}


def test_every_logged_event_is_documented_and_every_documented_one_exists() -> None:
    documented = set(re.findall(r"^\|((?: `[a-z_]+` ?\*?,?)+) \|", text_of("docs/events.md"), re.MULTILINE))
    names = {name for row in documented for name in re.findall(r"`([a-z_]+)`", row)}
    assert names == logged_events()


def test_config_toml_holds_every_key_with_its_default() -> None:
    table = tomllib.loads(text_of("config.toml"))
    held = {f"{section}.{key}": value for section, keys in table.items() for key, value in keys.items()}
    assert held == {key: default_of(key) for key in all_keys() if key not in WITHOUT_DEFAULT}


@pytest.mark.parametrize("key", all_keys())
def test_every_setting_has_a_comment_in_config_toml_and_a_line_with_its_default_in_the_docs(key: str) -> None:
    section, _, name = key.partition(".")
    table = text_of("config.toml").split(f"[{section}]\n", 1)[1].split("\n[", 1)[0]
    assert re.search(rf"^#? ?{name} = .*# \S.{{2}}", table, re.MULTILINE)
    documented = text_of("docs/settings.md").split(f"## [{section}]\n", 1)[1].split("\n## ", 1)[0]
    row = re.search(rf"^\| `{name}` \| `(.*)` \| .{{3,}} \|$", documented, re.MULTILINE)
    assert row is not None
    if key not in WITHOUT_DEFAULT:
        assert tomllib.loads(f"value = {row[1]}")["value"] == default_of(key)


@pytest.mark.parametrize("table", METADATA.tables.values(), ids=str)
def test_every_column_is_documented(table: object) -> None:
    documented = text_of("docs/sql.md")
    name = str(table)
    assert f"## {name}" in documented
    section = documented.split(f"## {name}\n", 1)[1].split("\n## ", 1)[0]
    missing = [column.name for column in METADATA.tables[name].columns if f"`{column.name}`" not in section]
    assert missing == []


@pytest.mark.parametrize("view", VIEWS)
def test_every_column_of_a_view_is_documented(view: str) -> None:
    section = text_of("docs/sql.md").split(f"## {view}\n", 1)[1].split("\n## ", 1)[0]
    assert [name for name in VIEWS[view] if f"`{name}`" not in section] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_stands_in_the_readme(command: str) -> None:
    assert re.search(rf"(tickerd|make) {command}|\b{command}\\?\||\|{command}\b", text_of("README.md"))


def test_the_defaults_of_the_settings_are_sound() -> None:
    assert msgspec.convert(msgspec.to_builtins(Settings()), Settings) == Settings()


def test_the_plan_that_the_readme_shows_is_the_one_that_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["plan", "--date", "2026-11-27"]) == 0
    session, first_action = capsys.readouterr().out.splitlines()[:2]
    assert f"    {session}\n    {first_action}\n" in text_of("README.md")
