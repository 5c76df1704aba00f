"""Tables of the work itself: runs, events, coverage, proxies, who may write. Holds no statement."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Date, Float, Table, Text, UniqueConstraint, false, text

from storage.tables.columns import METADATA, UtcTime, double, moment, own_id, whole, words

scanner_run = Table(
    "scanner_run",
    METADATA,
    own_id(),
    Column("scanner", Text, nullable=False),
    Column("session", Date, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    moment("finished_at"),
    Column("status", Text, nullable=False),
    Column("expected", BigInteger, nullable=False),
    whole("updated"),
    whole("failed"),
    whole("skipped"),
    Column("detail", JSON(none_as_null=True)),
)

scanner_event = Table(
    "scanner_event",
    METADATA,
    own_id(),
    Column("at", UtcTime, nullable=False),
    Column("source", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("process", Text, nullable=False),
    Column("event", Text, nullable=False),
    words("from_state"),
    words("to_state"),
    words("cause"),
    whole("pid"),
    whole("exit_code"),
    whole("signal"),
    Column("detail", JSON(none_as_null=True)),
    UniqueConstraint("source", "seq"),
)

coverage_minute = Table(
    "coverage_minute",
    METADATA,
    Column("minute", UtcTime, primary_key=True),
    Column("field_group", Text, primary_key=True),
    Column("fresh", BigInteger, nullable=False),
    Column("unchanged", BigInteger, nullable=False),
    Column("no_trade", BigInteger, nullable=False),
    Column("unknown", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
)

proxy = Table(
    "proxy",
    METADATA,
    Column("address", Text, primary_key=True),
    Column("protocol", Text, primary_key=True),
    Column("state", Text, nullable=False),
    words("exit_ip"),
    words("source"),
    Column("ok", BigInteger, nullable=False, server_default=text("0")),
    Column("fail", BigInteger, nullable=False, server_default=text("0")),
    Column("fails_in_a_row", BigInteger, nullable=False, server_default=text("0")),
    Column("bad_certificate", Boolean, nullable=False, server_default=false()),
    double("latency_ms"),
    Column("first_seen", UtcTime, nullable=False),
    moment("last_checked"),
    moment("last_ok"),
    moment("cool_until"),
    words("last_error"),
    # What fades, as of scored_at.
    *(
        Column(name, Float(53), nullable=False, server_default=text("0"))
        for name in ("score_ok", "score_fail", "strikes")
    ),
    moment("scored_at"),
    # Bound to this exit: nobody's account, of no use through another.
    *(Column(name, Text, nullable=False, server_default=text("''")) for name in ("cookie", "crumb")),
    moment("minted_at"),
)

proxy_source = Table(
    "proxy_source",
    METADATA,
    Column("url", Text, primary_key=True),
    moment("fetched_at"),
    whole("candidates"),
    whole("live"),
    whole("gold"),
    words("last_error"),
    words("etag"),
    whole("entries"),
    whole("refused"),
    whole("fresh"),
    Column("fails_in_a_row", BigInteger, nullable=False, server_default=text("0")),
    moment("paused_until"),
)

app_meta = Table(
    "app_meta",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

lease = Table(
    "lease",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    moment("until"),
)

change_marker = Table(
    "change_marker",
    METADATA,
    Column("source", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("committed_at", UtcTime, nullable=False),
)
