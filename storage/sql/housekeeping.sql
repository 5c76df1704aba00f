-- What is old enough to go, a few thousand rows at a time: rules in storage/housekeeping.py.

-- name: prune_coverage_minute
DELETE FROM coverage_minute WHERE minute IN (
    SELECT DISTINCT minute FROM coverage_minute WHERE minute < :before ORDER BY minute LIMIT 1500
)

-- name: prune_scanner_run
DELETE FROM scanner_run WHERE id IN (SELECT id FROM scanner_run WHERE started_at < :before ORDER BY id LIMIT 5000)

-- name: prune_scan_results
DELETE FROM scan_results WHERE scan_id IN (
    SELECT id FROM scans WHERE created_at < :before AND EXISTS (SELECT 1 FROM scan_results WHERE scan_id = id) LIMIT 50
)

-- name: prune_scan_errors
DELETE FROM scan_errors WHERE id IN (SELECT id FROM scan_errors WHERE at < :before ORDER BY id LIMIT 5000)

-- name: prune_scans
DELETE FROM scans WHERE id IN (SELECT id FROM scans WHERE created_at < :before LIMIT 5000)

-- name: prune_signals
DELETE FROM signals WHERE id IN (
    SELECT id FROM signals WHERE left_at < :before AND status <> 'active' ORDER BY id LIMIT 5000
)

-- name: prune_scanner_event
DELETE FROM scanner_event WHERE id IN (
    SELECT id FROM scanner_event old WHERE at < :before
        AND seq < (SELECT MAX(seq) FROM scanner_event newest WHERE newest.source = old.source)
    ORDER BY id LIMIT 5000
)

-- name: prune_listing_event
DELETE FROM listing_event WHERE session < :before

-- name: prune_quality_refusal
DELETE FROM quality_refusal WHERE session < :before

-- name: prune_truth_finding
DELETE FROM truth_finding WHERE session < :before

-- name: prune_truth_audit
DELETE FROM truth_audit WHERE session < :before

-- By the key, ticker after ticker: a search by the date alone would read the whole table under the writers' lock.
-- name: prune_daily_bars
DELETE FROM stocks_daily_bar WHERE ticker = :ticker AND session_date < :before

-- name: prune_signal_event
DELETE FROM signal_event WHERE id IN (
    SELECT id FROM signal_event WHERE at < :before AND id < (SELECT MAX(id) FROM signal_event) ORDER BY id LIMIT 5000
)

-- name: prune_audit_log
DELETE FROM audit_log WHERE id IN (SELECT id FROM audit_log WHERE at < :before ORDER BY id LIMIT 5000)

-- name: prune_refresh_token
DELETE FROM refresh_token WHERE token_hash IN (
    SELECT token_hash FROM refresh_token WHERE created_at < :before LIMIT 5000
)

-- name: prune_sign_in
DELETE FROM sign_in WHERE id IN (SELECT id FROM sign_in WHERE expires_at < :before ORDER BY id LIMIT 5000)

-- name: prune_api_idempotency
DELETE FROM api_idempotency WHERE created_at < :before
