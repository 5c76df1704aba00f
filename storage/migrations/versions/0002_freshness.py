"""Views of the freshness ledger; every row gets a last_updated, so that none is NULL.

PostgreSQL sorts NULLs first in `ORDER BY last_updated DESC`: a ticker that no source ever answered would for ever
stand before the newest changes. Rows without a time get the oldest time that is known.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FILL_LAST_UPDATED = """
    UPDATE stocks_stock
    SET last_updated = COALESCE((SELECT MIN(last_updated) FROM stocks_stock), {now})
    WHERE last_updated IS NULL
"""
FRESHNESS = """
    CREATE VIEW stocks_freshness AS
    SELECT ticker, {price} AS price_age_s, {metrics} AS metrics_age_s, {daily} AS daily_age_s,
        price_updated_at, metrics_updated_at, daily_updated_at
    FROM stocks_stock
    WHERE is_listed
"""
# Counts stand until the next ones of their group, at most two cycles; the day begins at midnight EST (05:00 UTC),
# hours away from every session and every daily refresh.
COVERAGE = """
    CREATE VIEW coverage_by_day AS
    SELECT day, field_group, {whole_minutes} AS minutes, {fresh} AS fresh, {unchanged} AS unchanged,
        {no_trade} AS no_trade, {unknown} AS unknown, {total} AS total,
        CAST(SUM((fresh + unchanged) * minutes) AS DOUBLE PRECISION) / NULLIF(SUM(total * minutes), 0) AS share
    FROM (
        SELECT {day} AS day, field_group, fresh, unchanged, no_trade, unknown, total,
            {least}(COALESCE({until_next}, 1440), CASE field_group WHEN 'price' THEN 2 WHEN 'metrics' THEN 20
                ELSE 1440 END) AS minutes
        FROM coverage_minute
    ) AS counted
    GROUP BY day, field_group
"""
NEXT = "LEAD(minute) OVER (PARTITION BY field_group ORDER BY minute)"
COUNTS = ("fresh", "unchanged", "no_trade", "unknown", "total")
SQLITE = {
    "now": "strftime('%Y-%m-%d %H:%M:%f000', 'now')",
    "age": "ROUND((julianday('now') - julianday({0}_updated_at)) * 86400, 3)",
    "day": "date(minute, '-5 hours')",
    "until_next": f"CAST(ROUND((julianday({NEXT}) - julianday(minute)) * 1440) AS INTEGER)",
    "least": "MIN",
    "sum": "SUM({0})",
}
POSTGRESQL = {
    "now": "CURRENT_TIMESTAMP",
    "age": "EXTRACT(EPOCH FROM statement_timestamp() - {0}_updated_at)::float8",
    "day": "((minute AT TIME ZONE 'UTC') - INTERVAL '5 hours')::date",
    "until_next": f"ROUND(EXTRACT(EPOCH FROM {NEXT} - minute) / 60)::bigint",
    "least": "LEAST",
    "sum": "SUM({0})::bigint",
}


def upgrade() -> None:
    words = SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL
    op.execute(FILL_LAST_UPDATED.format(now=words["now"]))
    op.execute(FRESHNESS.format(**{group: words["age"].format(group) for group in ("price", "metrics", "daily")}))
    sums = {name: words["sum"].format(f"{name} * minutes") for name in COUNTS}
    op.execute(COVERAGE.format(whole_minutes=words["sum"].format("minutes"), **sums, **words))


def downgrade() -> None:
    op.execute("DROP VIEW coverage_by_day")
    op.execute("DROP VIEW stocks_freshness")
