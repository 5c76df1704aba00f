from core.progress import Progress, measured


def test_the_end_is_foretold_from_the_pace_so_far() -> None:
    progress = measured("quotes", done=25, total=100, elapsed_s=10.0)
    assert progress == Progress(stage="quotes", done=25, total=100, eta_s=30.0)


def test_before_the_first_item_no_end_can_be_foretold() -> None:
    assert measured("quotes", done=0, total=100, elapsed_s=10.0).eta_s is None


def test_a_finished_stage_has_nothing_left_to_wait_for() -> None:
    assert measured("quotes", done=100, total=100, elapsed_s=40.0).eta_s == 0.0
