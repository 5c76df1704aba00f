-- What a follower of the changes asks.

-- name: newest_seq
SELECT COALESCE(MAX(seq), 0) FROM change_marker

-- name: change_in_place
SELECT change_seq FROM stocks_stock
WHERE change_seq > :since AND change_seq <= :newest
ORDER BY change_seq LIMIT 1 OFFSET :skip
