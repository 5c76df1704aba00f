-- The tickers to follow. The only INSERT into stocks_stock.

-- name: read_all_tickers
SELECT ticker FROM stocks_stock

-- name: read_universe
SELECT ticker, company_name, exchange, quote_type, security_type, sector, industry, is_listed, listed_by, missing_since
FROM stocks_stock

-- Sector and industry are Yahoo's own once it has told them.
-- name: put_listing
INSERT INTO stocks_stock (ticker, company_name, exchange, quote_type, security_type, sector, industry, is_listed,
    listed_by, last_updated, change_seq)
VALUES (:ticker, :company_name, :exchange, :quote_type, :security_type, :sector, :industry, TRUE, :listed_by, :at, :seq)
ON CONFLICT (ticker) DO UPDATE SET
    company_name = COALESCE(excluded.company_name, stocks_stock.company_name),
    exchange = COALESCE(excluded.exchange, stocks_stock.exchange),
    quote_type = COALESCE(excluded.quote_type, stocks_stock.quote_type),
    security_type = COALESCE(excluded.security_type, stocks_stock.security_type),
    sector = CASE WHEN stocks_stock.daily_updated_at IS NULL THEN COALESCE(excluded.sector, stocks_stock.sector)
        ELSE COALESCE(stocks_stock.sector, excluded.sector) END,
    industry = CASE WHEN stocks_stock.daily_updated_at IS NULL THEN COALESCE(excluded.industry, stocks_stock.industry)
        ELSE COALESCE(stocks_stock.industry, excluded.industry) END,
    is_listed = TRUE,
    listed_by = excluded.listed_by,
    missing_since = NULL,
    missing_sessions = NULL,
    change_seq = excluded.change_seq

-- name: unlist
UPDATE stocks_stock SET is_listed = FALSE, change_seq = :seq WHERE ticker = :ticker

-- name: count_listed
SELECT COUNT(*) FROM stocks_stock WHERE is_listed
