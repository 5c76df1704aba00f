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
