-- The schema's version, as Alembic keeps it.

-- name: read_schema_revision
SELECT version_num FROM tickerd_schema
