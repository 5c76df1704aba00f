from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import FixByHand
from storage.archive import Facts, Manifest, pack, unpack
from tests.fix_storage import NOON

FACTS = Facts(schema="0006", origin="live", seq=7, counts={"stocks_stock": 3})


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """An archive of a database of a megabyte and a configuration."""
    (tmp_path / "db").write_bytes(bytes(range(256)) * 4096)
    (tmp_path / "conf").write_text('[database]\nurl = "secret"\n')
    files = {"database.db": tmp_path / "db", "config.toml": tmp_path / "conf"}
    pack(tmp_path / "a.tar", files, program="0.1.0", at=NOON, kind="sqlite", facts=FACTS)
    return tmp_path / "a.tar"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_what_was_packed_comes_back_byte_for_byte(packed: Path, out: Path, tmp_path: Path) -> None:
    manifest = unpack(packed, out)
    assert sorted(os.listdir(out)) == ["config.toml", "database.db"]
    assert (out / "database.db").read_bytes() == (tmp_path / "db").read_bytes()
    assert (manifest.database, manifest.created_at, manifest.program) == (FACTS, NOON, "0.1.0")
    digest = hashlib.sha256((tmp_path / "conf").read_bytes()).hexdigest()
    assert manifest.files["config.toml"] == digest


def test_only_the_owner_can_read_an_archive_and_what_comes_out_of_it(packed: Path, out: Path) -> None:
    unpack(packed, out)
    assert {file.stat().st_mode & 0o777 for file in (packed, *out.iterdir())} == {0o600}


@pytest.mark.parametrize("length", [0, 100, 512, 700, 5000, 900_000])
def test_an_archive_cut_short_is_refused(packed: Path, out: Path, length: int) -> None:
    os.truncate(packed, length)
    with pytest.raises(FixByHand, match=r"a\.tar: is damaged or no backup \(.*\); use another backup"):
        unpack(packed, out)


@pytest.mark.parametrize("place", [0, 600, 520, 700_000, 1_050_200])
def test_an_archive_with_a_changed_byte_is_refused(packed: Path, out: Path, place: int) -> None:
    content = bytearray(packed.read_bytes())
    content[place] ^= 0x20
    packed.write_bytes(content)
    with pytest.raises(FixByHand, match=r"is damaged or no backup"):
        unpack(packed, out)


def test_a_file_that_is_no_archive_and_one_that_is_not_there_are_refused(out: Path, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_text("hello")
    with pytest.raises(FixByHand, match="is damaged or no backup"):
        unpack(tmp_path / "x.tar", out)
    with pytest.raises(FixByHand, match=r"y\.tar: cannot be read \(No such file or directory\)"):
        unpack(tmp_path / "y.tar", out)


def rewritten(packed: Path, change: Callable[[dict[str, Any]], None], extra: str = "") -> Path:
    """Write the archive anew with a changed manifest and a member more."""
    target = packed.with_name("b.tar")
    with tarfile.open(packed) as old, tarfile.open(target, "w") as new:
        for member in old:
            content = old.extractfile(member)
            assert content is not None
            data = content.read()
            if member.name == "manifest.json":
                document = json.loads(data)
                change(document)
                data = json.dumps(document).encode()
                member.size = len(data)
            new.addfile(member, io.BytesIO(data))
        if extra:
            entry = tarfile.TarInfo(extra)
            new.addfile(entry, io.BytesIO(b""))
    return target


def test_a_member_that_the_manifest_does_not_name_is_left_alone(packed: Path, out: Path) -> None:
    unpack(rewritten(packed, lambda _: None, extra="../evil"), out)
    assert sorted(os.listdir(out)) == ["config.toml", "database.db"]
    assert not (out.parent / "evil").exists()


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "database.dump"])
def test_a_manifest_with_a_file_of_another_name_is_refused(packed: Path, out: Path, name: str) -> None:
    def change(manifest: dict[str, Any]) -> None:
        manifest["files"] = {name: ""}

    with pytest.raises(FixByHand, match="is damaged or no backup"):
        unpack(rewritten(packed, change, extra=name), out)
    assert list(out.iterdir()) == []


def test_an_archive_of_a_later_format_is_named_as_such(packed: Path, out: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        manifest["format"] = 2

    with pytest.raises(FixByHand, match="has format 2, this program knows 1"):
        unpack(rewritten(packed, change), out)


def test_the_manifest_says_where_it_comes_from(packed: Path) -> None:
    with tarfile.open(packed) as tar:
        content = tar.extractfile("manifest.json")
        assert content is not None
        document = json.loads(content.read())
    assert set(document) == set(Manifest.__struct_fields__)
    assert document["created_at"] == "2026-11-23T17:00:00Z"
