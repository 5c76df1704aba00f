-- The daily group.

-- name: write_profile
UPDATE stocks_stock SET
    beta = COALESCE(:beta, beta),
    one_year_target = COALESCE(:one_year_target, one_year_target),
    recommendation = COALESCE(:recommendation, recommendation),
    analyst_count = COALESCE(:analyst_count, analyst_count),
    dividend_rate = COALESCE(:dividend_rate, dividend_rate),
    ex_dividend_date = COALESCE(:ex_dividend_date, ex_dividend_date),
    profit_margin = COALESCE(:profit_margin, profit_margin),
    revenue_ttm = COALESCE(:revenue_ttm, revenue_ttm),
    ebitda = COALESCE(:ebitda, ebitda),
    free_cash_flow = COALESCE(:free_cash_flow, free_cash_flow),
    float_shares = COALESCE(:float_shares, float_shares),
    employees = COALESCE(:employees, employees),
    daily_updated_at = :at,
    last_updated = CASE WHEN last_updated > :at THEN last_updated ELSE :at END,
    change_seq = :seq
WHERE ticker = :ticker AND (daily_updated_at IS NULL OR daily_updated_at <= :at)
