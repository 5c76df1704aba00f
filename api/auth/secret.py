"""The secret that tokens are signed with: given by the settings, or made once and kept in the state folder (0600)."""

from __future__ import annotations

import secrets
from pathlib import Path

from core.errors import FixByHand
from core.files import make_folder, read_text, write_atomic, writing
from core.secret import fault_of

FILE = "api_secret"


def signing_secret(given: str | None, state_dir: Path) -> bytes:
    """Return the secret given, as checked with the settings, or the one kept; FixByHand if that is none."""
    if given is not None:
        return given.encode()
    file = make_folder(state_dir) / FILE
    if not file.exists():
        with writing(file):
            write_atomic(file, secrets.token_urlsafe(48).encode(), mode=0o600)
    kept = read_text(file, key="api.secret").strip()
    if reason := fault_of(kept):
        raise FixByHand(reason, where=str(file), right="remove the file: a new secret is made at the next start")
    return kept.encode()
