from __future__ import annotations

import pytest

from core.secret import fault_of

GOOD = "Zk3vQ9xw7RtY1pLm5sHc8uJb2nFg4dAe"


def test_32_random_characters_are_a_secret_and_so_is_a_long_one_with_a_common_word_in_it() -> None:
    assert fault_of(GOOD) is None
    assert fault_of(GOOD + "-default-" + GOOD) is None


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("your_jwt_secret", "is a default that everybody knows"),
        ("super-secret-super-secret-super-secret", "is a default that everybody knows"),
        ("changeme-changeme-changeme-changeme", "is a default that everybody knows"),
        (GOOD[:31], "has 31 bytes"),
        ("ababababababababababababababababab", "is the same few characters again and again"),
    ],
)
def test_what_is_no_secret_is_told_without_it(secret: str, reason: str) -> None:
    assert fault_of(secret) == reason
