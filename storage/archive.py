"""A backup as one .tar file: what is in it and whether it is whole. Opens no database."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Literal

import msgspec

from core.errors import FixByHand

Kind = Literal["sqlite", "postgresql"]
FORMAT = 1
MANIFEST = "manifest.json"
DATABASE: Mapping[Kind, str] = {"sqlite": "database.db", "postgresql": "database.dump"}
CONFIG, PROXIES = "config.toml", "http_proxies.txt"
NAMES = frozenset([*DATABASE.values(), CONFIG, PROXIES])
LARGEST_MANIFEST_BYTES = 1_000_000
OWNER_ONLY = 0o600  # the configuration may hold a password
RIGHT = "use another backup"


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a database holds; `counts`: rows by table, `seq`: number of its newest write."""

    schema: str
    origin: str | None
    seq: int
    counts: dict[str, int]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself; `files`: SHA-256 by name."""

    format: int
    program: str
    created_at: datetime
    kind: Kind
    database: Facts
    files: dict[str, str]


def pack(target: Path, files: Mapping[str, Path], *, program: str, at: datetime, kind: Kind, facts: Facts) -> Manifest:
    """Write `files` (name in the archive -> file) and their manifest to `target`."""
    digests = {name: _digest_of(path) for name, path in files.items()}
    manifest = Manifest(format=FORMAT, program=program, created_at=at, kind=kind, database=facts, files=digests)
    text = msgspec.json.format(msgspec.json.encode(manifest))
    with target.open("xb") as file, tarfile.open(fileobj=file, mode="w") as tar:
        target.chmod(OWNER_ONLY)
        tar.addfile(_entry(MANIFEST, len(text), at), io.BytesIO(text))
        for name, path in files.items():
            with path.open("rb") as content:
                tar.addfile(_entry(name, path.stat().st_size, at), content)
    return manifest


def unpack(archive: Path, folder: Path) -> Manifest:
    """Put the files of `archive` into `folder` and return its manifest; FixByHand unless every byte is as it was."""
    try:
        with tarfile.open(archive, mode="r:") as tar:
            manifest = _read_manifest(tar, archive)
            for name, digest in manifest.files.items():
                _unpack_one(tar, name, digest, folder, archive)
    except (tarfile.TarError, EOFError, KeyError, ValueError) as error:
        raise _damaged(archive, str(error)) from error
    except OSError as error:
        raise FixByHand(f"cannot be read ({error.strerror})", where=str(archive), right="give a backup") from error
    return manifest


def _read_manifest(tar: tarfile.TarFile, archive: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode(_open(tar, MANIFEST).read(LARGEST_MANIFEST_BYTES), type=Manifest)
    except msgspec.MsgspecError as error:
        raise _damaged(archive, f"{MANIFEST}: {error}") from error
    if manifest.format != FORMAT:
        raise FixByHand(f"has format {manifest.format}, this program knows {FORMAT}", where=str(archive), right=RIGHT)
    if not NAMES >= manifest.files.keys() >= {DATABASE[manifest.kind]}:
        raise _damaged(archive, f"it holds {', '.join(manifest.files)}")
    return manifest


def _unpack_one(tar: tarfile.TarFile, name: str, digest: str, folder: Path, archive: Path) -> None:
    target = folder / name
    with _open(tar, name) as content, target.open("xb") as file:
        target.chmod(OWNER_ONLY)
        shutil.copyfileobj(content, file)
    if _digest_of(target) != digest:
        raise _damaged(archive, f"{name} is not what was backed up")


def _open(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    content = tar.extractfile(name)
    if content is None:
        raise KeyError(f"{name} is not a file")
    return content


def _entry(name: str, size: int, at: datetime) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, OWNER_ONLY, int(at.timestamp())
    return entry


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damaged(archive: Path, why: str) -> FixByHand:
    return FixByHand(f"is damaged or no backup ({why})", where=str(archive), right=RIGHT)
