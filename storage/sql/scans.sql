-- What scans have found.

-- name: put_scan_result
INSERT INTO scan_results
    (scan_id, seq, ticker, session, rank, key, tech_rating, priority_tier, measured, flags, signal)
VALUES
    (:scan_id, :seq, :ticker, :session, :rank, :key, :tech_rating, :priority_tier, :measured, :flags, :signal)
ON CONFLICT (scan_id, seq) DO NOTHING
