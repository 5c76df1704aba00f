"""What the pool of proxies remembers across a restart: fading scores, strikes, and each exit's cookie and crumb.

Of each list: what it held, what of it was refused, what no other list has, and until when it is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    for table, columns in (("proxy", _of_a_proxy()), ("proxy_source", _of_a_source())):
        for column in columns:
            op.add_column(table, column)


def downgrade() -> None:
    for table, columns in (("proxy", _of_a_proxy()), ("proxy_source", _of_a_source())):
        for column in columns:
            op.drop_column(table, column.name)


def _of_a_proxy() -> Iterator[sa.Column]:
    for name in ("score_ok", "score_fail", "strikes"):
        yield sa.Column(name, sa.Float(53), nullable=False, server_default=sa.text("0"))
    yield sa.Column("scored_at", TIME)
    for name in ("cookie", "crumb"):
        yield sa.Column(name, sa.Text(), nullable=False, server_default=sa.text("''"))
    yield sa.Column("minted_at", TIME)


def _of_a_source() -> Iterator[sa.Column]:
    yield sa.Column("etag", sa.Text())
    for name in ("entries", "refused", "fresh"):
        yield sa.Column(name, sa.BigInteger())
    yield sa.Column("fails_in_a_row", sa.BigInteger(), nullable=False, server_default=sa.text("0"))
    yield sa.Column("paused_until", TIME)
