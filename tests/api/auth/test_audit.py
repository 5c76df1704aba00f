from __future__ import annotations

from tests.fix_api import RunningApi


def test_a_change_is_noted_with_its_address_and_the_key_that_made_it(api: RunningApi) -> None:
    by_key = api.ask("POST", "/api/v1/users", {"name": "gus", "role": "viewer"})
    by_hand = api.ask("POST", "/api/v1/users", {"name": "hal", "role": "viewer"}, key=api.token())
    rows = {
        row["detail"]["user"]: row
        for row in api.ask("GET", "/api/v1/audit").json["data"]
        if row["action"] == "user_added"
    }
    noted = rows[by_key.json["id"]]
    assert (noted["actor"], noted["address"]) == ("admin", "127.0.0.1") and noted["detail"]["with"].startswith("key:")
    assert "with" not in rows[by_hand.json["id"]]["detail"]
