from __future__ import annotations

from pathlib import Path

import pytest

from api.auth.passwords import is_right
from storage import accounts
from storage.engine import open_reader_engine
from tests.fix_cli import Run, fits_80_columns


@pytest.fixture
def users(here: Run, sqlite_file: Path, tmp_path: Path) -> Run:
    """A database without users."""
    assert sqlite_file == tmp_path / "tickerd.db"
    return here


def hash_of(folder: Path, name: str) -> str:
    engine = open_reader_engine(f"sqlite:///{folder}/tickerd.db", service="test")
    found = accounts.read_user(engine, name=name)
    engine.dispose()
    assert found is not None
    return str(found["password_hash"])


def test_a_user_is_added_with_a_password_that_is_told_once(users: Run, tmp_path: Path) -> None:
    ended = users("user", "add", "Ann", "--role", "operator")
    words = ended.out.split()
    assert ended.code == 0 and words[0] == "ann:" and len(words[6]) == 20
    assert is_right(words[6], hash_of(tmp_path, "ann"))
    listed = users("user", "list", "--json").json()["users"]
    assert [(row["name"], row["role"], row["must_change_password"]) for row in listed] == [("ann", "operator", True)]
    assert "password_hash" not in listed[0]
    assert "must choose a password" in users("user", "list").out and fits_80_columns(users("user", "list").out)


def test_a_user_gets_another_password_and_is_let_in_again(users: Run, tmp_path: Path) -> None:
    users("user", "add", "ann")
    told = users("user", "passwd", "ann", "--json").json()
    assert told["user"] == "ann" and is_right(told["password"], hash_of(tmp_path, "ann"))


def test_another_password_of_the_first_admin_makes_its_file_go(users: Run, tmp_path: Path) -> None:
    file = Path(users("config", "show", "--json").json()["keys"]["state.dir"]["value"]) / "admin_password"
    users("user", "add", "admin", "--role", "admin")
    file.parent.mkdir(exist_ok=True)
    file.write_text("the first one")
    assert users("user", "passwd", "admin").code == 0 and not file.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "a b"), "name: cannot be a name; give 1 to 64 of a-z"),
        (("add", "bob", "--email", "nowhere"), "email: is no e-mail address"),
        (("passwd", "nobody"), "nobody: there is no such user; see `tickerd user list`"),
    ],
)
def test_what_cannot_be_is_one_line(users: Run, words: tuple[str, ...], said: str) -> None:
    ended = users("user", *words)
    assert ended.code == 1 and said in ended.err and ended.err.count("\n") == 1


def test_a_name_is_taken_once(users: Run) -> None:
    users("user", "add", "ann")
    ended = users("user", "add", "ANN")
    assert ended.code == 1 and "ann: is taken" in ended.err
