from __future__ import annotations

from screener.expressions.fields import TextColumn


def test_a_text_column_knows_what_is_missing_and_finds_texts_in_any_case() -> None:
    column = TextColumn.of(["Energy", None, "ENERGY", "Utilities"])
    assert column.codes.tolist() == [0, -1, 0, 1]
    assert column.words == {"energy": 0, "utilities": 1}
    assert [column.text(place) for place in range(4)] == ["Energy", None, "Energy", "Utilities"]
