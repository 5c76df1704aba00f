from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from api.auth.secret import signing_secret
from core.errors import EXIT_CONFIG, FixByHand

GOOD = "Zk3vQ9xw7RtY1pLm5sHc8uJb2nFg4dAe"


def test_a_secret_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    made = signing_secret(None, tmp_path / "state")
    file = tmp_path / "state" / "api_secret"
    assert len(made) == 64 and signing_secret(None, tmp_path / "state") == made == file.read_bytes()
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert signing_secret(None, tmp_path / "other") != made
    assert signing_secret(GOOD, tmp_path / "state") == GOOD.encode()


@pytest.mark.parametrize(("secret", "reason"), [("", "is empty"), (GOOD[:31], "has 31 bytes")])
def test_a_kept_secret_that_is_none_stops_the_start_and_is_not_shown(tmp_path: Path, secret: str, reason: str) -> None:
    (tmp_path / "api_secret").write_text(secret)
    with pytest.raises(FixByHand, match=reason) as caught:
        signing_secret(None, tmp_path)
    said = str(caught.value)
    assert caught.value.exit_code == EXIT_CONFIG and "remove the file" in said
    assert said.startswith(str(tmp_path / "api_secret")) and not (secret and secret in said)
