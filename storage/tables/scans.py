"""Tables of scans: asked for, found, saved, and the signals that came of them. Holds no statement."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Date, Index, Table, Text, false

from storage.tables.columns import METADATA, Given, UtcTime, double, moment, own_id, whole, words

scans = Table(
    "scans",
    METADATA,
    Column("id", Text, primary_key=True),
    words("name"),
    Column("request", Given, nullable=False),
    Column("status", Text, nullable=False, index=True),
    Column("created_at", UtcTime, nullable=False),
    moment("started_at"),
    moment("finished_at"),
    Column("cancel_requested", Boolean, nullable=False, server_default=false()),
    Column("data_as_of", Date),
    whole("total"),
    whole("processed"),
    whole("signals"),
    whole("high_value"),
    Column("exact", Boolean),
    double("coverage"),
    words("reason"),
    double("accuracy"),
    Column("biased", JSON(none_as_null=True)),
    Column("timings", JSON(none_as_null=True)),
    Column("progress", JSON(none_as_null=True)),
    words("error"),
    words("file"),
)

scan_results = Table(
    "scan_results",
    METADATA,
    Column("scan_id", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("ticker", Text, nullable=False, index=True),
    Column("session", Date, nullable=False),
    whole("rank"),
    double("key"),
    double("tech_rating"),
    words("priority_tier"),
    Column("measured", JSON(none_as_null=True)),
    Column("flags", JSON(none_as_null=True)),
    Column("signal", JSON(none_as_null=True)),
)

scan_errors = Table(
    "scan_errors",
    METADATA,
    own_id(),
    Column("scan_id", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    words("stage"),
    words("ticker"),
    Column("error", Text, nullable=False),
)

saved_scans = Table(
    "saved_scans",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("request", Given, nullable=False),
    Column("schedule", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    moment("last_run_at"),
    words("last_scan_id"),
)

signals = Table(
    "signals",
    METADATA,
    own_id(),
    Column("scan", Text, nullable=False),
    Column("scan_id", Text, nullable=False),
    Column("symbol", Text, nullable=False, index=True),
    Column("session", Date, nullable=False),
    words("pattern"),
    words("direction"),
    double("entry_price"),
    double("stop_loss"),
    double("target1"),
    double("target2"),
    double("confidence"),
    double("volume"),
    double("atr"),
    whole("position_size"),
    double("risk_amount"),
    double("hit_rate"),
    double("hit_rate_low"),
    double("hit_rate_high"),
    whole("hit_events"),
    double("tech_rating"),
    Column("confluence_factors", JSON(none_as_null=True)),
    Column("measured", JSON(none_as_null=True)),
    Column("provisional", Boolean, nullable=False, server_default=false()),
    Column("status", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    moment("left_at"),
    Index(None, "scan", "status"),
)

signal_event = Table(
    "signal_event",
    METADATA,
    own_id(),
    Column("signal_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
)
