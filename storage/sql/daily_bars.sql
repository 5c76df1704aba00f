-- Daily bars.

-- name: put_daily_bar
INSERT INTO stocks_daily_bar (ticker, session_date, open, high, low, close, adj_close, volume, source)
VALUES (:ticker, :session_date, :open, :high, :low, :close, :adj_close, :volume, :source)
ON CONFLICT (ticker, session_date) DO UPDATE SET
    open = excluded.open,
    high = excluded.high,
    low = excluded.low,
    close = excluded.close,
    adj_close = excluded.adj_close,
    volume = excluded.volume,
    source = excluded.source

-- name: forget_daily_bars
DELETE FROM stocks_daily_bar WHERE ticker = :ticker AND session_date BETWEEN :oldest AND :newest

-- name: insert_daily_bar sqlite
INSERT INTO stocks_daily_bar (ticker, session_date, open, high, low, close, adj_close, volume, source)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: history_of
SELECT session_date, open, high, low, close, adj_close, volume FROM stocks_daily_bar
WHERE ticker = :ticker ORDER BY session_date

-- name: daily_bar_spans
SELECT ticker, COUNT(*), MIN(session_date), MAX(session_date) FROM stocks_daily_bar GROUP BY ticker

-- name: all_daily_bars
SELECT ticker, session_date, open, high, low, close, volume FROM stocks_daily_bar WHERE session_date >= :since

-- name: daily_bars_of
SELECT ticker, session_date, open, high, low, close, volume FROM stocks_daily_bar
WHERE ticker = :ticker ORDER BY session_date

-- A correction moves a sum. The prices count by 1, 2, 3 and 5, so that two of a bar changed for each other show; bars by
-- their day, so that what one lost and another won shows, and a bar that belongs to another day. The plus keeps SQLite
-- from the index: bars were written day by day, it would look for each of a ticker's in another page.
-- name: daily_bar_marks sqlite
SELECT
    ticker, COUNT(*), MAX(session_date),
    SUM((open + 2 * high + 3 * low + 5 * close) * (1 + CAST(julianday(session_date) AS INTEGER) % 97)),
    SUM(COALESCE(volume, -1))
FROM stocks_daily_bar GROUP BY +ticker

-- name: daily_bar_marks postgresql
SELECT
    ticker, COUNT(*), MAX(session_date),
    SUM((open + 2 * high + 3 * low + 5 * close) * (1 + MOD(session_date - DATE '2000-01-01', 97))),
    SUM(COALESCE(volume, -1))
FROM stocks_daily_bar GROUP BY ticker

-- name: daily_bars_write
SELECT seq, committed_at FROM change_marker WHERE source = 'daily_bars'

-- name: unlisted_tickers
SELECT ticker FROM stocks_stock WHERE NOT is_listed

-- name: quotes_since
SELECT
    ticker, current_price, open_price, days_high, days_low, volume, price_time, metrics_updated_at, previous_close,
    change_seq
FROM stocks_stock WHERE change_seq > :seq AND current_price IS NOT NULL

-- The table itself, if it is partitioned, and its partitions.
-- name: bar_partitions
SELECT relname::text FROM pg_class WHERE oid = 'stocks_daily_bar'::regclass AND relkind = 'p'
UNION ALL
SELECT child.relname::text FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
WHERE inhparent = 'stocks_daily_bar'::regclass
