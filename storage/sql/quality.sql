-- What was refused, what a second source says of each ticker, and what the audit of a session found.

-- name: add_refusal
INSERT INTO quality_refusal (session, endpoint, rule, refused, example)
VALUES (:session, :endpoint, :rule, :refused, :example)
ON CONFLICT (session, endpoint, rule) DO UPDATE SET
    refused = quality_refusal.refused + excluded.refused,
    example = COALESCE(excluded.example, quality_refusal.example)

-- name: put_witness
INSERT INTO truth_witness (ticker, session, open, high, low, close, volume, price_time, at)
VALUES (:ticker, :session, :open, :high, :low, :close, :volume, :price_time, :at)
ON CONFLICT (ticker) DO UPDATE SET
    session = excluded.session, open = excluded.open, high = excluded.high, low = excluded.low,
    close = excluded.close, volume = excluded.volume, price_time = excluded.price_time, at = excluded.at
WHERE truth_witness.at <= excluded.at

-- name: put_audit
INSERT INTO truth_audit (session, at, asked, exact, differs, not_comparable, sampled, outliers, requests, total)
VALUES (:session, :at, :asked, :exact, :differs, :not_comparable, :sampled, :outliers, :requests, :total)
ON CONFLICT (session) DO UPDATE SET
    at = excluded.at, asked = excluded.asked, exact = excluded.exact, differs = excluded.differs,
    not_comparable = excluded.not_comparable, sampled = excluded.sampled, outliers = excluded.outliers,
    requests = excluded.requests, total = excluded.total

-- name: drop_findings
DELETE FROM truth_finding WHERE session = :session

-- name: forget_findings_of
DELETE FROM truth_finding WHERE session = :session AND ticker = :ticker

-- name: put_finding
INSERT INTO truth_finding (session, ticker, field, verdict, rule, held, told, reason)
VALUES (:session, :ticker, :field, :verdict, :rule, :held, :told, :reason)
