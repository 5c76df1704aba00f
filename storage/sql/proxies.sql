-- The pool of proxies and the lists it comes from: rules in proxies/.

-- name: put_proxy
INSERT INTO proxy (
    address, protocol, state, exit_ip, source, ok, fail, fails_in_a_row, bad_certificate, latency_ms,
    first_seen, last_checked, last_ok, cool_until, last_error,
    score_ok, score_fail, strikes, scored_at, cookie, crumb, minted_at
) VALUES (
    :address, :protocol, :state, :exit_ip, :source, :ok, :fail, :fails_in_a_row, :bad_certificate, :latency_ms,
    :first_seen, :last_checked, :last_ok, :cool_until, :last_error,
    :score_ok, :score_fail, :strikes, :scored_at, :cookie, :crumb, :minted_at
)
ON CONFLICT (address, protocol) DO UPDATE SET
    state = excluded.state, exit_ip = excluded.exit_ip, source = excluded.source, ok = excluded.ok,
    fail = excluded.fail, fails_in_a_row = excluded.fails_in_a_row, bad_certificate = excluded.bad_certificate,
    latency_ms = excluded.latency_ms, last_checked = excluded.last_checked, last_ok = excluded.last_ok,
    cool_until = excluded.cool_until, last_error = excluded.last_error, score_ok = excluded.score_ok,
    score_fail = excluded.score_fail, strikes = excluded.strikes, scored_at = excluded.scored_at,
    cookie = excluded.cookie, crumb = excluded.crumb, minted_at = excluded.minted_at

-- name: forget_dead_proxies
DELETE FROM proxy WHERE state = 'evicted' AND NOT bad_certificate AND cool_until < :before

-- name: put_proxy_source
INSERT INTO proxy_source (
    url, fetched_at, candidates, live, gold, last_error, etag, entries, refused, fresh, fails_in_a_row, paused_until
) VALUES (
    :url, :fetched_at, :candidates, :live, :gold, :last_error, :etag, :entries, :refused, :fresh, :fails_in_a_row,
    :paused_until
)
ON CONFLICT (url) DO UPDATE SET
    fetched_at = excluded.fetched_at, candidates = excluded.candidates, live = excluded.live, gold = excluded.gold,
    last_error = excluded.last_error, etag = excluded.etag, entries = excluded.entries, refused = excluded.refused,
    fresh = excluded.fresh, fails_in_a_row = excluded.fails_in_a_row, paused_until = excluded.paused_until
