-- The flight record.

-- name: put_event
INSERT INTO scanner_event
    (at, source, seq, process, event, from_state, to_state, cause, pid, exit_code, signal, detail)
VALUES
    (:at, :source, :seq, :process, :event, :from_state, :to_state, :cause, :pid, :exit_code, :signal, :detail)
ON CONFLICT (source, seq) DO NOTHING
