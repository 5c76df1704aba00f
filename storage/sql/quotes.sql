-- Quotes: rules in storage/quotes.py.

-- name: write_quote
UPDATE stocks_stock SET
    company_name = COALESCE(:company_name, company_name),
    exchange = COALESCE(:exchange, exchange),
    quote_type = COALESCE(:quote_type, quote_type),
    currency = COALESCE(:currency, currency),
    market_state = COALESCE(:market_state, market_state),
    pre_market_price = :pre_market_price,
    post_market_price = :post_market_price,
    volume = COALESCE(:volume, volume),
    days_low = CASE
        WHEN :since_open AND price_time < :opens_at THEN :days_low
        WHEN price_time IS NULL OR price_time <= :price_time THEN COALESCE(:days_low, days_low)
        WHEN :since_open AND (days_low IS NULL OR days_low > :days_low) THEN :days_low
        ELSE days_low END,
    days_high = CASE
        WHEN :since_open AND price_time < :opens_at THEN :days_high
        WHEN price_time IS NULL OR price_time <= :price_time THEN COALESCE(:days_high, days_high)
        WHEN :since_open AND (days_high IS NULL OR days_high < :days_high) THEN :days_high
        ELSE days_high END,
    open_price = COALESCE(:open_price, open_price),
    previous_close = COALESCE(:previous_close, previous_close),
    bid_price = :bid_price,
    ask_price = :ask_price,
    bid_size = :bid_size,
    ask_size = :ask_size,
    week_52_low = COALESCE(:week_52_low, week_52_low),
    week_52_high = COALESCE(:week_52_high, week_52_high),
    avg_volume_3mon = COALESCE(:avg_volume_3mon, avg_volume_3mon),
    market_cap = COALESCE(:market_cap, market_cap),
    shares_outstanding = COALESCE(:shares_outstanding, shares_outstanding),
    pe_ratio = :pe_ratio,
    forward_pe = :forward_pe,
    dividend_yield = :dividend_yield,
    earnings_per_share = COALESCE(:earnings_per_share, earnings_per_share),
    book_value = COALESCE(:book_value, book_value),
    price_to_book = COALESCE(:price_to_book, price_to_book),
    next_earnings_date = :next_earnings_date,
    metrics_updated_at = :at,
    last_updated = CASE WHEN last_updated > :at THEN last_updated ELSE :at END,
    change_seq = :seq
WHERE ticker = :ticker AND (metrics_updated_at IS NULL OR metrics_updated_at <= :at)

-- name: write_quote_price
UPDATE stocks_stock SET
    current_price = :current_price,
    price_change = :price_change,
    price_change_percent = :price_change_percent,
    price_time = :price_time,
    price_source = 'quote',
    price_updated_at = CASE WHEN price_updated_at > :at THEN price_updated_at ELSE :at END,
    last_updated = CASE WHEN last_updated > :at THEN last_updated ELSE :at END,
    change_seq = :seq
WHERE ticker = :ticker
    AND (price_time IS NULL OR price_time = :price_time OR (:in_session AND price_time < :price_time))
