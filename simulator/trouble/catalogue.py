"""What can go wrong on purpose: every fault's name, parameters and help, and how one is read. Makes nothing go wrong.

The command line, scripts, the control port and the Python API all read this one table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TypeVar

from core.errors import FixByHand

Value = int | float | str | tuple[str, ...]
T = TypeVar("T")
N = TypeVar("N", int, float)
FORMS = ("json", "kind", "base64", "protobuf", "binary", "price", "ticker")
"""Garbage on a stream; the last two are well made and still nonsense."""
HOLES = ("modules", "times", "quotes", "adjclose", "cents")
"""Empty modules, null timestamps, no quotes, no adjusted closes, and the older half of the prices in cents."""
EVENTS = ("halt", "resume", "gap", "pay_dividend", "split", "rename", "delist", "list_new", "unlist", "relist")
"""What happens in a market and is no fault: its methods of these names."""
_UNITS_S = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|)")
LARGEST = 1e9
_ON_ONE_LINE = r"[\x20-\x7e]*"


@dataclass(frozen=True, slots=True)
class Parameter:
    """`default` also says the type; an empty tuple is a list of texts, "+" between them on the command line.

    `pattern`: what each text has to be. `least`, `most`: of a number.
    """

    name: str
    default: Value
    help: str
    pattern: str = ".*"
    least: float = 0
    most: float = LARGEST


@dataclass(frozen=True, slots=True)
class Kind:
    """`area`: "streams", "http" or "connections". `once`: happens at one moment and does not last."""

    name: str
    area: str
    help: str
    parameters: tuple[Parameter, ...] = ()
    once: bool = False


_SOME = Parameter("connections", (), "only these, by their numbers in the ledger, as in 3+7 (default: all)", r"\d+")
_OF_HTTP = (
    Parameter("host", "*", "only this host; * and ? stand for any letters"),
    Parameter("path", "*", "only this path; * and ? stand for any letters"),
    Parameter("exit", "*", "only requests that leave by this exit address"),
    Parameter("times", 0, "over after so many answers; 0 = never"),
)
_RETRY = Parameter("retry_after_s", 0, "seconds in the Retry-After header; 0 = no header")


def _streams(name: str, help: str, *parameters: Parameter, once: bool = False) -> Kind:
    return Kind(name, "streams", help, (*parameters, _SOME), once)


def _http(name: str, help: str, *parameters: Parameter) -> Kind:
    return Kind(name, "http", help, (*parameters, *_OF_HTTP))


KINDS = {
    kind.name: kind
    for kind in (
        _streams(
            "close",
            "streams are closed by the closing handshake",
            Parameter("code", 1001, "the close code; 0 = a close without one", most=65_535),
            once=True,
        ),
        _streams("reset", "streams are cut by a TCP reset", once=True),
        _streams("half_open", "streams stay open and never say or hear anything again", once=True),
        _streams("mute", "pings are answered, no prices come"),
        _streams("freeze", "nothing is read or said, not even a pong; afterwards all goes on"),
        _streams(
            "cut_symbols",
            "a connection honours only its first symbols, silently",
            Parameter("symbols", 50, "how many symbols"),
        ),
        _streams(
            "stale_snapshot",
            "on subscribing comes the previous close with an old time",
            Parameter("age_s", 259_200, "how much older than the last trade"),
        ),
        _streams("out_of_order", "after each second's price comes the one before it, with its own older time"),
        _streams("repeat_second", "each second's price comes twice, the second time with a lower day volume"),
        _streams(
            "garbage",
            "each second brings a frame that is none",
            Parameter("forms", (), f"of {', '.join(FORMS)} (default: each in turn)", "|".join(FORMS)),
        ),
        _streams(
            "huge",
            "each second brings one huge frame",
            Parameter("frame_bytes", 2_097_152, "its length", most=1 << 26),
        ),
        Kind("refuse", "connections", "new connections are reset"),
        Kind(
            "unreachable",
            "connections",
            "the proxy answers 502 to a CONNECT",
            (Parameter("host", "*", "only this host; * and ? stand for any letters"),),
        ),
        _http(
            "answer",
            "a planned answer in place of the true one",
            Parameter("status", 200, "the status", least=200, most=599),
            Parameter("body", "", "the body"),
            Parameter("type", "text/html", "the content type", _ON_ONE_LINE),
            _RETRY,
        ),
        _http("unauthorized", "401 Invalid Crumb"),
        _http("too_many", "429 Too Many Requests, to everybody or to one exit", _RETRY),
        _http(
            "rate_limit",
            "429 to who asks more often than is allowed",
            Parameter("requests", 60, "how many in a window"),
            Parameter("window_s", 60.0, "length of the window"),
            Parameter("penalty_s", 60.0, "how long the 429 lasts"),
            Parameter("per", "exit", '"exit": each address has its own count; "all": one for everybody', "exit|all"),
            _RETRY,
        ),
        _http(
            "server_error",
            "an error of the server",
            Parameter("status", 503, "the status", least=200, most=599),
            _RETRY,
        ),
        _http("truncate", "the body ends early; its length is right", Parameter("at_bytes", 100, "what is left")),
        _http("cut", "the connection ends within the body", Parameter("at_bytes", 100, "what is still sent")),
        _http("html", "a 200 with a web page"),
        _http("captcha", "a 200 with a page that asks for a human"),
        _http("wrong_ticker", "results carry each other's ticker; one alone carries ZVZZT"),
        _http(
            "missing_tickers",
            "some results are absent",
            Parameter("symbols", (), "these tickers (default: every second one)"),
        ),
        _http(
            "hollow",
            "quoteSummary and charts come with holes",
            Parameter("what", "modules", f"of {', '.join(HOLES)}: what is wrong", "|".join(HOLES)),
        ),
        _http(
            "unit_change",
            "one key has another unit",
            Parameter("key", "dividendYield", "which"),
            Parameter("factor", 0.01, "times what"),
        ),
        _http("tamper_all", "every price and amount is wrong by one factor", Parameter("factor", 1.07, "times what")),
        _http("tamper_one", "one price of each answer is wrong", Parameter("factor", 1.07, "times what")),
        _http("batch_limit", "400 for more symbols", Parameter("symbols", 50, "how many are allowed")),
        _http("slow_answer", "the answer starts late", Parameter("delay_s", 5.0, "how late")),
        _http("slow_body", "the body comes in small pieces", Parameter("bytes_per_s", 200, "how fast", least=1)),
        _http(
            "bomb",
            "a small packed body that unpacks to many megabytes",
            Parameter("unpacked_mb", 300, "how many", least=1, most=2_000),
        ),
        _http("redirect", "a redirect", Parameter("location", "http://127.0.0.1/", "where to", _ON_ONE_LINE)),
        Kind(
            "drop",
            "connections",
            "these tickers are unknown to quotes and streams",
            (Parameter("symbols", (), "which tickers"),),
        ),
    )
}


@dataclass(slots=True, kw_only=True, eq=False, weakref_slot=True)
class Fault:
    """One fault, ordered. `at_s`: seconds from the order to its begin; `for_s`: None = until it is cleared."""

    kind: Kind
    values: Mapping[str, Value]
    at_s: float = 0.0
    for_s: float | None = None
    number: int = 0
    hits: int = field(default=0)

    def __getitem__(self, name: str) -> Value:
        return self.values[name]

    def whole(self, name: str) -> int:
        return int(self.values[name])  # type: ignore[arg-type]  # the table says which are numbers

    def seconds(self, name: str) -> float:
        return float(self.values[name])  # type: ignore[arg-type]

    def text(self, name: str) -> str:
        return str(self.values[name])

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.values[name]
        assert isinstance(value, tuple)
        return value

    def fits(self, name: str, text: str) -> bool:
        """Whether `text` matches the pattern in the parameter `name`."""
        return fnmatchcase(text, self.text(name))

    def concerns(self, connection: int) -> bool:
        """Whether a fault of streams hits this connection."""
        numbers = self.texts("connections")
        return not numbers or str(connection) in numbers


def fault(name: str, values: Mapping[str, object], *, where: str = "") -> Fault:
    """Return the fault; `values` may hold at_s and for_s. FixByHand for what the table does not know."""
    given = dict(values)
    at_s = duration_s(given.pop("at_s", 0), where=where, key="at_s")
    for_s = given.pop("for_s", None)
    kind = known(name, KINDS, what="fault", where=where)
    known_names = {parameter.name: parameter for parameter in kind.parameters}
    for key in given:
        known(key, known_names, what=f"parameter of {name}", where=where)
    if kind.once and for_s is not None:
        raise FixByHand(f"{name} happens once", where=where, key="for_s", right="leave the duration out")
    return Fault(
        kind=kind,
        values={key: _value(parameter, given, where=where) for key, parameter in known_names.items()},
        at_s=at_s,
        for_s=None if for_s is None else duration_s(for_s, where=where, key="for_s"),
    )


def from_text(text: str, more: Mapping[str, object] | None = None, *, where: str = "--fault") -> Fault:
    """Read `NAME[=FOR][@AT][,KEY=VALUE...]`, as in `mute=30s@10s` or `too_many=1m,exit=198.18.0.3`; add `more`."""
    head, *rest = text.split(",")
    values: dict[str, object] = dict(more or {})
    for part in rest:
        key, equals, value = part.partition("=")
        if not equals:
            raise FixByHand(f"{part!r} is no KEY=VALUE", where=where, right="write it as mute=30s@10s,connections=3")
        values[key.strip()] = value.strip()
    head, at, at_s = head.partition("@")
    name, equals, for_s = head.partition("=")
    if at:
        values["at_s"] = at_s.strip()
    if equals:
        values["for_s"] = for_s.strip()
    return fault(name.strip(), values, where=where)


def duration_s(value: object, *, where: str, key: str) -> float:
    """Return seconds: from a number, or from a text like 30s, 500ms, 2m or 1h."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    seconds = float(found[1]) * _UNITS_S[found[2]] if found else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= LARGEST:
        raise FixByHand(f"{value!r} is no duration", where=where, key=key, right="give one like 30s, 500ms or 2m")
    return float(seconds)


def known(name: str, table: Mapping[str, T], *, what: str, where: str) -> T:
    """Return what `table` holds under `name`; FixByHand that lists the known names."""
    if name not in table:
        names = ", ".join(sorted(table)) or "none"
        raise FixByHand(f"{name!r} is no {what}", where=where, right=f"known: {names}")
    return table[name]


def describe() -> str:
    """Return the table as a page of text."""
    common = (_SOME, *_OF_HTTP)
    lines: list[str] = []
    for kind in KINDS.values():
        lines.append(f"{kind.name:15} {kind.help}{' (once)' if kind.once else ''}")
        lines.extend(f"{'':18}{_line(parameter)}" for parameter in kind.parameters if parameter not in common)
    lines += ["", f"Each fault of streams also takes {_SOME.name}: {_SOME.help}."]
    lines += ["Each fault of answers also takes:", *(f"{'':18}{_line(parameter)}" for parameter in _OF_HTTP)]
    return "\n".join(lines)


def _line(parameter: Parameter) -> str:
    default = "+".join(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
    return f"{parameter.name}={default}: {parameter.help}"


def _value(parameter: Parameter, given: Mapping[str, object], *, where: str) -> Value:
    """Return the parameter's value in the type of its default."""
    value = given.get(parameter.name, parameter.default)
    try:
        match parameter.default:
            case tuple():
                return tuple(_checked(text, parameter) for text in _texts(value))
            case int():
                return _number(value, int, parameter)
            case float():
                return _number(value, float, parameter)
        if isinstance(value, str):
            return _checked(value, parameter)
    except (ValueError, OverflowError) as error:  # int(inf)
        raise _wrong(parameter, value, where) from error
    raise _wrong(parameter, value, where)


def _checked(text: str, parameter: Parameter) -> str:
    if not re.fullmatch(parameter.pattern, text, re.DOTALL):
        raise ValueError("not one of those that are meant")
    return text


def _number(value: object, kind: type[N], parameter: Parameter) -> N:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("not a number")
    number = kind(value)
    if not parameter.least <= number <= parameter.most or (not isinstance(value, str) and number != value):
        raise ValueError("out of range")
    return number


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(filter(None, value.split("+")))
    if isinstance(value, Iterable):
        return tuple(str(each) for each in value)
    raise ValueError("not a list")


def _wrong(parameter: Parameter, value: object, where: str) -> FixByHand:
    if isinstance(parameter.default, str | tuple) and isinstance(value, str | list | tuple):
        return FixByHand(f"{value!r} will not do", where=where, key=parameter.name, right=f"it is: {parameter.help}")
    form = "a whole number" if isinstance(parameter.default, int) else "a number"
    if isinstance(parameter.default, str | tuple):
        form = "a text" if isinstance(parameter.default, str) else "a list"
    else:
        form += f" from {parameter.least:g} to {parameter.most:g}"
    return FixByHand(f"{value!r} is not {form}", where=where, key=parameter.name, right=f"it is: {parameter.help}")
