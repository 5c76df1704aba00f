"""What must be right before the API listens: an address that strangers reach needs accounts, and accounts an admin."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from api.auth.accounts import Accounts
from api.auth.passwords import one_time_password
from api.hosts import is_loopback
from core.errors import FixByHand
from core.files import make_folder, write_atomic, writing
from core.logs import LineSink, get_logger
from core.program import SETTINGS_VARIABLE
from core.settings import Api

log = get_logger(__name__)

ADMIN = "admin"
PASSWORD_FILE = "admin_password"


def check_address(api: Api) -> None:
    """FixByHand if others than this machine could do everything without signing in."""
    if not api.auth and not is_loopback(api.host):
        right = 'set api.host = "127.0.0.1", or api.auth = true'
        raise FixByHand(f"may not be false while {api.host!r} is listened on", key="api.auth", right=right)


async def make_first_admin(accounts: Accounts, state_dir: Path) -> None:
    """Make a user `admin` if there is no user at all; its password is random and must be changed at once.

    A person who started this by hand reads it here; a supervised process only says in which file it is, because what
    it prints is kept in a log.
    """
    if await accounts.users(after=0, limit=1):
        return
    password, file = one_time_password(), make_folder(state_dir) / PASSWORD_FILE

    def tell() -> None:
        with writing(file):
            write_atomic(file, password.encode() + b"\n", mode=0o600)

    if not await accounts.add_first_admin(ADMIN, password, tell=tell):
        return
    log.info("admin_created", user=ADMIN, password_file=str(file))
    if SETTINGS_VARIABLE not in os.environ:
        words = f"tickerd: first start: sign in as {ADMIN} with the password {password}"
        LineSink(sys.stderr).msg(f"{words} (this once: choose your own then; it also is in {file})")


def forget_first_password(state_dir: Path) -> None:
    """Remove the file of the first password: it was changed."""
    (state_dir / PASSWORD_FILE).unlink(missing_ok=True)
