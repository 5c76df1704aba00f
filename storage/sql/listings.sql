-- The universe after a look at its sources: rules in market/listings.py.

-- name: read_known
SELECT ticker, is_listed, listed_by, seen_by, security_type, missing_since, missing_sessions, current_price, price_time
FROM stocks_stock

-- name: list_new
INSERT INTO stocks_stock (ticker, company_name, exchange, quote_type, security_type, is_listed, listed_by, seen_by,
    first_seen_date, last_updated, change_seq)
VALUES (:ticker, :company_name, :exchange, :quote_type, :security_type, TRUE, 'sources', :seen_by, :session, :at, :seq)
ON CONFLICT (ticker) DO NOTHING

-- A ticker that is named: listed, and no longer missing. Sources name it differently, so its type is told once.
-- name: note_seen
UPDATE stocks_stock SET
    is_listed = TRUE,
    seen_by = :seen_by,
    security_type = COALESCE(security_type, :security_type),
    missing_since = NULL,
    missing_sessions = NULL,
    change_seq = :seq
WHERE ticker = :ticker

-- name: note_missing
UPDATE stocks_stock SET missing_since = :since, missing_sessions = :sessions, change_seq = :seq WHERE ticker = :ticker

-- What Yahoo calls delisted goes at once, unless another source still names it.
-- name: read_delistable
SELECT ticker FROM stocks_stock WHERE is_listed AND (missing_since IS NOT NULL OR seen_by IS NULL)

-- name: unlist_missing
UPDATE stocks_stock SET is_listed = FALSE, missing_since = COALESCE(missing_since, :session), change_seq = :seq
WHERE ticker = :ticker

-- name: put_listing_event
INSERT INTO listing_event (session, at, ticker, event, former_ticker, reason)
VALUES (:session, :at, :ticker, :event, :former_ticker, :reason)

-- A ticker that was listed under its new name already, for a few days, gives way to the row with the past.
-- name: drop_younger_row
DELETE FROM stocks_stock WHERE ticker = :new

-- name: rename_row
UPDATE stocks_stock SET ticker = :new, is_listed = TRUE, missing_since = NULL, missing_sessions = NULL, change_seq = :seq
WHERE ticker = :old

-- name: drop_older_bars
DELETE FROM stocks_daily_bar WHERE ticker = :old
    AND session_date IN (SELECT session_date FROM stocks_daily_bar WHERE ticker = :new)

-- name: rename_bars
UPDATE stocks_daily_bar SET ticker = :new WHERE ticker = :old

-- name: rename_progress
UPDATE daily_progress SET ticker = :new
WHERE ticker = :old AND NOT EXISTS (SELECT 1 FROM daily_progress newer WHERE newer.ticker = :new)

-- name: drop_progress_of
DELETE FROM daily_progress WHERE ticker = :old

-- name: drop_stale_fields_of
DELETE FROM daily_stale_field WHERE ticker = :new

-- name: rename_stale_fields
UPDATE daily_stale_field SET ticker = :new WHERE ticker = :old

-- name: drop_witness_of
DELETE FROM truth_witness WHERE ticker = :old

-- name: rename_signals
UPDATE signals SET symbol = :new WHERE symbol = :old AND status = 'active'

-- name: read_suspects
SELECT ticker FROM stocks_stock WHERE missing_since >= :since

-- name: read_missing
SELECT ticker, missing_since FROM stocks_stock WHERE is_listed AND missing_since IS NOT NULL
