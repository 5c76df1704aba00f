-- The tickers to follow. The only INSERT into stocks_stock.

-- name: read_all_tickers
SELECT ticker FROM stocks_stock

-- name: read_universe
SELECT ticker, company_name, exchange, quote_type, sector, industry, is_listed FROM stocks_stock

-- name: put_listing
INSERT INTO stocks_stock
    (ticker, company_name, exchange, quote_type, sector, industry, is_listed, last_updated, change_seq)
VALUES (:ticker, :company_name, :exchange, :quote_type, :sector, :industry, TRUE, :at, :seq)
ON CONFLICT (ticker) DO UPDATE SET
    company_name = COALESCE(excluded.company_name, stocks_stock.company_name),
    exchange = COALESCE(excluded.exchange, stocks_stock.exchange),
    quote_type = COALESCE(excluded.quote_type, stocks_stock.quote_type),
    sector = COALESCE(excluded.sector, stocks_stock.sector),
    industry = COALESCE(excluded.industry, stocks_stock.industry),
    is_listed = TRUE,
    change_seq = excluded.change_seq

-- name: unlist
UPDATE stocks_stock SET is_listed = FALSE, change_seq = :seq WHERE ticker = :ticker

-- name: count_listed
SELECT COUNT(*) FROM stocks_stock WHERE is_listed
