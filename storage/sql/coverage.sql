-- Coverage by minute.

-- name: put_coverage_minute
INSERT INTO coverage_minute (minute, field_group, fresh, unchanged, no_trade, unknown, total)
VALUES (:minute, :field_group, :fresh, :unchanged, :no_trade, :unknown, :total)
ON CONFLICT (minute, field_group) DO UPDATE SET
    fresh = excluded.fresh,
    unchanged = excluded.unchanged,
    no_trade = excluded.no_trade,
    unknown = excluded.unknown,
    total = excluded.total
