-- The price group: rules in storage/prices.py.

-- ?1 price, ?2 change, ?3 percent, ?4 price time, ?5 heard at, ?6 ticker, ?7 source, ?8 session opens at, ?9 seq
-- name: flush_prices sqlite
UPDATE stocks_stock SET
    change_seq = CASE
        WHEN current_price = ?1 AND price_change IS ?2 AND price_change_percent IS ?3 AND price_time = ?4
        THEN change_seq ELSE ?9 END,
    days_high = CASE
        WHEN price_time IS NULL OR (price_time < ?8 AND ?4 >= ?8) OR days_high IS NULL OR days_high < ?1
        THEN ?1 ELSE days_high END,
    days_low = CASE
        WHEN price_time IS NULL OR (price_time < ?8 AND ?4 >= ?8) OR days_low IS NULL OR days_low > ?1
        THEN ?1 ELSE days_low END,
    current_price = ?1,
    price_change = ?2,
    price_change_percent = ?3,
    price_time = ?4,
    price_source = ?7,
    price_updated_at = CASE WHEN price_updated_at > ?5 THEN price_updated_at ELSE ?5 END,
    last_updated = CASE WHEN last_updated > ?5 THEN last_updated ELSE ?5 END
WHERE ticker = ?6 AND (price_time IS NULL OR price_time <= ?4)

-- name: flush_prices postgresql
UPDATE stocks_stock s SET
    change_seq = CASE
        WHEN s.current_price = d.price AND s.price_change IS NOT DISTINCT FROM d.change
            AND s.price_change_percent IS NOT DISTINCT FROM d.percent AND s.price_time = d.price_time
        THEN s.change_seq ELSE %(seq)s END,
    days_high = CASE
        WHEN s.price_time IS NULL OR (s.price_time < %(session_opens_at)s AND d.price_time >= %(session_opens_at)s)
            OR s.days_high IS NULL OR s.days_high < d.price
        THEN d.price ELSE s.days_high END,
    days_low = CASE
        WHEN s.price_time IS NULL OR (s.price_time < %(session_opens_at)s AND d.price_time >= %(session_opens_at)s)
            OR s.days_low IS NULL OR s.days_low > d.price
        THEN d.price ELSE s.days_low END,
    current_price = d.price,
    price_change = d.change,
    price_change_percent = d.percent,
    price_time = d.price_time,
    price_source = %(price_source)s,
    price_updated_at = GREATEST(s.price_updated_at, d.heard_at),
    last_updated = GREATEST(s.last_updated, d.heard_at)
FROM unnest(
    %(prices)b::float8[], %(changes)b::float8[], %(percents)b::float8[],
    %(price_times)b::timestamptz[], %(heard_ats)b::timestamptz[], %(tickers)b::text[]
) AS d (price, change, percent, price_time, heard_at, ticker)
WHERE s.ticker = d.ticker AND (s.price_time IS NULL OR s.price_time <= d.price_time)

-- name: set_pre_market_price
UPDATE stocks_stock SET
    change_seq = CASE WHEN pre_market_price = :price THEN change_seq ELSE :seq END,
    pre_market_price = :price
WHERE ticker = :ticker

-- name: set_post_market_price
UPDATE stocks_stock SET
    change_seq = CASE WHEN post_market_price = :price THEN change_seq ELSE :seq END,
    post_market_price = :price
WHERE ticker = :ticker

-- name: confirm_price
UPDATE stocks_stock SET
    price_updated_at = :at,
    last_updated = CASE WHEN last_updated > :at THEN last_updated ELSE :at END
WHERE ticker = :ticker AND current_price IS NOT NULL AND (price_updated_at IS NULL OR price_updated_at < :at)
