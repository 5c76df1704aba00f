"""Reads the configuration: file, then environment, checked key by key. Never starts with a key it does not know."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_origin

import msgspec

from core.errors import FixByHand
from core.files import patiently, read_text
from core.secret import RIGHT, fault_of
from core.settings import RESERVED_SECTIONS, Section, Settings

PREFIX = "TICKERD_"
ALIASES = {
    "DATABASE_URL": "database.url",
    "JWT_SECRET": "api.secret",
    "SCANNER_HOST": "api.host",
    "SCANNER_PORT": "api.port",
    "PORT": "api.port",
    "SCANNER_LOG_LEVEL": "logging.level",
    "SCANNER_RESULTS_DIR": "screener.results_dir",
    "ENABLE_PRIORITIZATION": "screener.prioritization",
    "ENABLE_STREAMING": "screener.streaming",
    "EARLY_TERMINATION_DEFAULT": "screener.early_termination",
    "MAX_CONCURRENT_STREAMS": "screener.max_concurrent_streams",
    "STREAM_TIMEOUT_SECONDS": "screener.stream_timeout_s",
    "MAX_WORKERS": "screener.max_workers",
    "USE_CACHE": "screener.use_cache",
}
"""Environment names that earlier deployments use. The prefixed name wins where both are set."""
SECRETS = ("api.secret",)
"""Shown to nobody; an empty one is a mistake, not an absent one."""
HIDDEN = "***"
WITH_PASSWORD = ("database.url", "network.proxy", "proxies.own")
NOT_SETTINGS = {"TICKERD_CONFIG", "TICKERD_SETTINGS", "TICKERD_MARK", "TICKERD_LIFE_FD", "TICKERD_LOCK_FD"}
PATH_KEYS = (
    "state.dir",
    "network.ca_file",
    "market.overrides_file",
    "universe.file",
    "proxies.file",
    "logging.dir",
    "backup.dir",
    "screener.results_dir",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The settings, where each key came from ("default", a file, "environment NAME") and the file, if any."""

    settings: Settings
    sources: dict[str, str]
    file: Path | None


def find_file(explicit: str | None, environ: Mapping[str, str], folder: Path) -> Path | None:
    """Return the file to read: the explicit one, `$TICKERD_CONFIG`, `config.toml` in `folder`, or None."""
    named = explicit or environ.get("TICKERD_CONFIG")
    if named:
        return (folder / named).resolve()
    standard = folder / "config.toml"
    return standard.resolve() if standard.exists() else None


def load(explicit: str | None, environ: Mapping[str, str], folder: Path) -> Loaded:
    """Return the checked settings; FixByHand (exit 78) names the file, the key, what is wrong and what is right."""
    file = find_file(explicit, environ, folder)
    table = _parse(file) if file else {}
    values: dict[str, dict[str, Any]] = {section: {} for section in Settings.__struct_fields__}
    sources = {key: "default" for key in all_keys()}
    for key, value in _flat(table, str(file)):
        _set(values, key, value, where=str(file), strict=True)
        sources[key] = str(file)
    for name, key, text in _environment(environ):
        _set(values, key, _from_text(key, text, where=name), where=name, strict=False)
        sources[key] = f"environment {name}"
    settings = msgspec.convert(values, Settings)
    return Loaded(settings=_absolute(settings, file.parent if file else folder), sources=sources, file=file)


def all_keys() -> list[str]:
    """Return every key as `section.key`, in the order of the settings."""
    return [f"{section}.{key}" for section, kind in _sections().items() for key in kind.__struct_fields__]


def dump(settings: Settings) -> bytes:
    """Return the settings as JSON: what the orchestrator hands to its children."""
    return msgspec.json.encode(settings)


def load_dumped(path: Path) -> Settings:
    """Read back what `dump` wrote."""
    try:
        return msgspec.json.decode(patiently(path.read_bytes), type=Settings)
    except (OSError, msgspec.MsgspecError) as error:
        raise FixByHand(str(error), where=str(path), right="start the process through `tickerd run`") from error


def redacted(url: str) -> str:
    """Return a database URL without its password, for people and logs."""
    scheme, separator, rest = re.sub("password=[^&]*", "password=***", url).partition("://")
    credentials, at, host = rest.rpartition("@")
    user, colon, _ = credentials.partition(":")
    return f"{scheme}{separator}{user}{':***' if colon else ''}{at}{host}"


def shown(key: str, value: Any) -> Any:
    """Return the value of a setting for people and logs, without secrets and passwords."""
    if key in SECRETS:
        return HIDDEN if value else value
    if key not in WITH_PASSWORD:
        return value
    return [redacted(each) for each in value] if isinstance(value, list) else redacted(value)


def _sections() -> dict[str, type[Section]]:
    return {field.name: field.type for field in msgspec.structs.fields(Settings)}


def _parse(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(file))
    except tomllib.TOMLDecodeError as error:
        raise FixByHand(f"not TOML: {error}", where=str(file), right="mend that line") from error


def _flat(table: Mapping[str, Any], where: str) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for section, content in table.items():
        if section in RESERVED_SECTIONS:
            if content:
                raise FixByHand("is reserved and has no keys yet", where=where, key=section, right="remove its keys")
            continue
        if section not in _sections():
            raise _unknown(section, list(_sections()), where=where, kind="section")
        if not isinstance(content, dict):
            raise FixByHand("is not a table", where=where, key=section, right=f"write [{section}] and its keys below")
        pairs += [(f"{section}.{key}", value) for key, value in content.items()]
    return pairs


def _environment(environ: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return (name, key, text) of each variable that sets a key; aliases first, so that the prefixed name wins."""
    given = [name for name, key in ALIASES.items() if environ.get(name) or (key in SECRETS and name in environ)]
    found = [(name, ALIASES[name], environ[name]) for name in given]
    for name, text in environ.items():
        if name.startswith(PREFIX) and name not in NOT_SETTINGS:
            section, separator, key = name.removeprefix(PREFIX).lower().partition("__")
            if not separator:
                right = f"use {PREFIX}SECTION__KEY, e.g. {PREFIX}PRICES__CYCLE_S"
                raise FixByHand("is not a setting", where="environment", key=name, right=right)
            found.append((name, f"{section}.{key}", text))
    return found


def _from_text(key: str, text: str, *, where: str) -> Any:
    section, _, name = key.partition(".")
    fields = {f.name: f for f in msgspec.structs.fields(_sections()[section])} if section in _sections() else {}
    if name in fields and get_origin(fields[name].type) is list:
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise FixByHand(str(error), where=where, key=key, right='give a JSON list like ["a", "b"]') from error
    if key == "database.url" and text.startswith("postgresql://"):
        return text.replace("postgresql://", "postgresql+psycopg://", 1)
    return text


def _set(values: dict[str, dict[str, Any]], key: str, value: Any, *, where: str, strict: bool) -> None:
    section, _, name = key.partition(".")
    kind = _sections().get(section)
    if kind is None:
        raise _unknown(section, list(_sections()), where=where, kind="section")
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    if name not in fields:
        raise _unknown(key, [f"{section}.{other}" for other in fields], where=where, kind="key")
    try:
        values[section][name] = msgspec.convert(value, fields[name].type, strict=strict)
    except msgspec.ValidationError as error:
        right = f"give {_wanted(fields[name].type)}"
        raise FixByHand(_plain(str(error), value), where=where, key=key, right=right) from error
    if key in SECRETS and (reason := fault_of(value)):
        raise FixByHand(reason, where=where, key=key, right=RIGHT)


def _plain(message: str, value: Any) -> str:
    if "matching regex" in message:
        place = re.search(r"at `\$\[(\d+)\]`", message)
        return f"{(value[int(place[1])] if place else value)!r} has the wrong form"
    return message.replace("`", "")


def _wanted(kind: Any) -> str:
    schema = msgspec.json.schema(kind)
    if "description" in schema:
        return str(schema["description"])
    if "description" in schema.get("items", ()):
        return f"a list of {schema['items']['description']}"
    if "enum" in schema:
        return "one of " + ", ".join(f'"{value}"' for value in schema["enum"])
    names = {"number": "a number", "integer": "a whole number", "boolean": "true or false", "array": "a list of texts"}
    wanted = names.get(schema.get("type", ""), "a text in quotes")
    for bound, words in (("minimum", "of at least"), ("exclusiveMinimum", "above"), ("maximum", "and at most")):
        if bound in schema:
            wanted += f" {words} {schema[bound]:g}"
    return wanted


def _unknown(name: str, known: list[str], *, where: str, kind: str) -> FixByHand:
    near = difflib.get_close_matches(name, known, n=1)
    right = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(known)}"
    return FixByHand(f"unknown {kind}", where=where, key=name, right=right)


def _absolute(settings: Settings, base: Path) -> Settings:
    """Resolve relative paths from the folder of the configuration file."""
    for key in PATH_KEYS:
        section_name, _, name = key.partition(".")
        section = getattr(settings, section_name)
        if path := getattr(section, name):
            settings = _replaced(settings, section_name, name, str((base / path).resolve()))
    if settings.database.url.startswith("sqlite:///"):
        path = settings.database.url.removeprefix("sqlite:///")
        settings = _replaced(settings, "database", "url", f"sqlite:///{(base / path).resolve()}")
    if settings.market.calendar.startswith("file:"):
        path = settings.market.calendar.removeprefix("file:")
        settings = _replaced(settings, "market", "calendar", f"file:{(base / path).resolve()}")
    return settings


def _replaced(settings: Settings, section: str, name: str, value: Any) -> Settings:
    changed = msgspec.structs.replace(getattr(settings, section), **{name: value})
    return msgspec.structs.replace(settings, **{section: changed})
