from __future__ import annotations

import pytest
from sqlalchemy import LargeBinary, Table, Text

from storage.tables.accounts import api_token, refresh_token, sign_in, users


@pytest.mark.parametrize("table", [users, sign_in, refresh_token, api_token])
def test_of_what_one_signs_in_with_only_a_hash_is_kept(table: Table) -> None:
    kept = {column.name for column in table.columns if isinstance(column.type, Text | LargeBinary)}
    secret = {name for name in kept if any(word in name for word in ("password", "token", "secret", "key"))}
    assert secret
    assert all(name.endswith("_hash") for name in secret)
