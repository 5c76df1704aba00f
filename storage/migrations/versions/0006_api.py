"""Who may ask the API, what they did, answers kept for repeated requests, the numbers of the stream of signals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _columns(kind: sa.types.TypeEngine, *names: str) -> list[sa.Column]:
    return [sa.Column(name, kind) for name in names]


def _known(kind: sa.types.TypeEngine, *names: str) -> list[sa.Column]:
    return [sa.Column(name, kind, nullable=False) for name in names]


def _id() -> sa.Column:
    return sa.Column("id", ID, sa.Identity(), nullable=False)


def upgrade() -> None:
    _create_users()
    _create_sign_ins()
    _create_tokens()
    _create_records()


def _create_users() -> None:
    op.create_table(
        "users",
        _id(),
        *_known(sa.Text(), "name"),
        *_columns(sa.Text(), "email"),
        *_known(sa.Text(), "password_hash"),
        *_columns(sa.Text(), "first_name", "last_name"),
        *_known(sa.Text(), "role"),
        *_columns(sa.JSON(), "preferences"),
        sa.Column("must_change_password", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("is_active", sa.Boolean(), nullable=False, server_default=sa.true()),
        *_known(TIME, "created_at", "updated_at"),
        *_columns(TIME, "last_login"),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("name", name="uq_users_name"),
        sa.UniqueConstraint("email", name="uq_users_email"),
        sqlite_autoincrement=True,
    )


def _create_sign_ins() -> None:
    op.create_table(
        "sign_in",
        _id(),
        *_known(sa.BigInteger(), "user_id"),
        *_known(sa.Text(), "kind"),
        *_columns(sa.Text(), "secret_hash", "address", "agent"),
        *_known(TIME, "created_at", "expires_at"),
        *_columns(TIME, "ended_at"),
        sa.PrimaryKeyConstraint("id", name="pk_sign_in"),
        sa.UniqueConstraint("secret_hash", name="uq_sign_in_secret_hash"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sign_in_user_id", "sign_in", ["user_id"])
    op.create_table(
        "refresh_token",
        *_known(sa.Text(), "token_hash"),
        *_known(sa.BigInteger(), "sign_in_id"),
        *_known(TIME, "created_at"),
        *_columns(TIME, "used_at"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_refresh_token"),
    )
    op.create_index("ix_refresh_token_sign_in_id", "refresh_token", ["sign_in_id"])


def _create_tokens() -> None:
    op.create_table(
        "api_token",
        _id(),
        *_known(sa.BigInteger(), "user_id"),
        *_known(sa.Text(), "name", "token_hash"),
        *_known(sa.JSON(), "scopes"),
        *_known(TIME, "created_at"),
        *_columns(TIME, "expires_at", "revoked_at"),
        sa.PrimaryKeyConstraint("id", name="pk_api_token"),
        sa.UniqueConstraint("token_hash", name="uq_api_token_token_hash"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_api_token_user_id", "api_token", ["user_id"])


def _create_records() -> None:
    op.create_table(
        "audit_log",
        _id(),
        *_known(TIME, "at"),
        *_known(sa.Text(), "actor", "action"),
        *_columns(sa.Text(), "address"),
        *_columns(sa.JSON(), "detail"),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
    )
    op.create_index("ix_audit_log_action_at", "audit_log", ["action", "at"])
    op.create_table(
        "api_idempotency",
        *_known(sa.Text(), "principal", "key", "method_path", "body_hash"),
        *_columns(sa.BigInteger(), "status"),
        *_columns(sa.Text(), "headers"),
        *_columns(sa.LargeBinary(), "body"),
        *_known(TIME, "created_at"),
        sa.PrimaryKeyConstraint("principal", "key", name="pk_api_idempotency"),
    )
    op.create_table(
        "signal_event",
        _id(),
        *_known(sa.BigInteger(), "signal_id"),
        *_known(sa.Text(), "kind"),
        *_known(TIME, "at"),
        sa.PrimaryKeyConstraint("id", name="pk_signal_event"),
    )


def downgrade() -> None:
    for table in ("signal_event", "api_idempotency", "audit_log", "api_token", "refresh_token", "sign_in", "users"):
        op.drop_table(table)
