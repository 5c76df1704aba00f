-- What every write transaction starts and ends with.

-- name: lock_writers postgresql
SELECT pg_advisory_xact_lock(815001)

-- name: read_lease
SELECT epoch FROM lease WHERE name = :name

-- name: insert_lease
INSERT INTO lease (name, holder, epoch) VALUES (:name, :holder, :epoch)

-- name: read_meta
SELECT value FROM app_meta WHERE key = :key

-- name: put_meta
INSERT INTO app_meta (key, value) VALUES (:key, :value)
ON CONFLICT (key) DO UPDATE SET value = excluded.value

-- name: next_seq
SELECT COALESCE(MAX(seq), 0) + 1 FROM change_marker

-- name: bump_change_marker
INSERT INTO change_marker (source, seq, epoch, committed_at) VALUES (:source, :seq, :epoch, :committed_at)
ON CONFLICT (source) DO UPDATE
SET seq = excluded.seq, epoch = excluded.epoch, committed_at = excluded.committed_at
