-- How far the newest daily refresh is, one row a ticker: what a run has come to since its session.

-- name: mark_quoted
INSERT INTO daily_progress (ticker, session, quote, bar, chart_need, bars_through)
VALUES (:ticker, :session, :quote, :bar, :chart_need, :bars_through)
ON CONFLICT (ticker) DO UPDATE SET
    session = excluded.session,
    quote = excluded.quote,
    bar = excluded.bar,
    chart_need = excluded.chart_need,
    bars_through = COALESCE(excluded.bars_through, daily_progress.bars_through),
    fundamentals = CASE WHEN daily_progress.session = excluded.session THEN daily_progress.fundamentals END,
    chart = CASE WHEN daily_progress.session = excluded.session THEN daily_progress.chart END

-- name: mark_fundamentals
UPDATE daily_progress SET
    fundamentals = :outcome,
    fundamentals_at = :at,
    chart_need = COALESCE(chart_need, :chart_need)
WHERE ticker = :ticker AND session = :session

-- name: mark_chart
UPDATE daily_progress SET
    chart = :outcome,
    chart_at = :at,
    bars_through = COALESCE(:bars_through, bars_through)
WHERE ticker = :ticker AND session = :session

-- The close that the day's quote must name as the previous one.
-- name: last_closes
SELECT ticker, (
    SELECT close FROM stocks_daily_bar
    WHERE stocks_daily_bar.ticker = daily_progress.ticker AND session_date < :session
    ORDER BY session_date DESC LIMIT 1
) FROM daily_progress
