-- The daily group: rules in storage/profiles.py.

-- name: write_fundamentals
UPDATE stocks_stock SET
    sector = :sector,
    industry = :industry,
    country = :country,
    employees = :employees,
    beta = :beta,
    one_year_target = :one_year_target,
    target_low = :target_low,
    target_high = :target_high,
    recommendation = :recommendation,
    analyst_count = :analyst_count,
    dividend_rate = :dividend_rate,
    ex_dividend_date = :ex_dividend_date,
    payout_ratio = :payout_ratio,
    financial_currency = :financial_currency,
    revenue_ttm = :revenue_ttm,
    revenue_growth = :revenue_growth,
    earnings_growth = :earnings_growth,
    ebitda = :ebitda,
    profit_margin = :profit_margin,
    gross_margin = :gross_margin,
    operating_margin = :operating_margin,
    return_on_equity = :return_on_equity,
    return_on_assets = :return_on_assets,
    free_cash_flow = :free_cash_flow,
    operating_cash_flow = :operating_cash_flow,
    total_cash = :total_cash,
    total_debt = :total_debt,
    debt_to_equity = :debt_to_equity,
    current_ratio = :current_ratio,
    float_shares = :float_shares,
    shares_short = :shares_short,
    short_percent_of_float = :short_percent_of_float,
    held_by_insiders = :held_by_insiders,
    held_by_institutions = :held_by_institutions,
    last_split_date = :last_split_date,
    last_split_ratio = :last_split_ratio,
    daily_updated_at = :at,
    last_updated = CASE WHEN last_updated > :at THEN last_updated ELSE :at END,
    change_seq = :seq
WHERE ticker = :ticker

-- name: confirm_fundamentals
UPDATE stocks_stock SET
    daily_updated_at = :at,
    last_updated = CASE WHEN last_updated > :at THEN last_updated ELSE :at END
WHERE ticker = :ticker

-- name: forget_stale_fields
DELETE FROM daily_stale_field WHERE ticker = :ticker

-- name: put_stale_field
INSERT INTO daily_stale_field (ticker, field, last_seen) VALUES (:ticker, :field, :last_seen)
