"""Which tests the Windows Python runs, and which of them it cannot pass, with the reason. Data only."""

from __future__ import annotations

CHOSEN = (
    "tests/core/test_child_windows.py",
    "tests/core/test_files.py",
    "tests/core/test_program.py",
    "tests/net/test_budget.py",
    "tests/daemon/test_beats_windows.py",
    "tests/daemon/test_child.py",
    "tests/daemon/test_crew.py",
    "tests/daemon/test_launch.py",
    "tests/daemon/test_orchestrator.py",
    "tests/daemon/test_prepare.py",
    "tests/daemon/test_process_windows.py",
    "tests/daemon/test_service_windows.py",
    "tests/daemon/test_system.py",
    "tests/cli/test_service_windows.py",
    "tests/storage",
    "tests/windows",
)

NOT_LOADED = {
    "tests/storage/test_minute_bars.py": "Wine 8: it reads Parquet files with what test_export.py needs as well",
    "tests/storage/test_export.py": "Wine 8: pyarrow's numpy needs crealf of ucrtbase.dll, which Wine does not have",
}
"""Modules that cannot even be imported."""

MODES = "Windows has no file modes: who may do what is inherited from the folder"
WORDS = "what is expected is in POSIX's own words: path separators, texts of errno, /dev/full"
SIGNALS = "Windows has no signals between processes: a stop is asked for over a pipe"
IN_USE = "Windows renames and removes no file that a program has open"
WINE_END = "Wine 8: its C library reads nothing more from a file whose end was read once"

STUBS = "the program that the test runs is POSIX's own (fork, resource, signals)"

SKIPPED = {
    "tests/daemon/test_crew.py::test_a_child_that_cannot_be_started_is_tried_again_later": WORDS,
    "tests/daemon/test_crew.py::test_the_last_words_of_a_child": "there is no socket here",
    "tests/daemon/test_crew.py::test_what_a_child_left_behind": STUBS,
    "tests/daemon/test_crew.py::test_a_copy_that_nobody_here_started": "tests/core/test_child_windows.py shows it",
    "tests/daemon/test_crew.py::test_a_child_that_leaks_descriptors": STUBS,
    "tests/daemon/test_crew.py::test_a_stranger_cannot_say": "a child's pipe is its own: no stranger reaches it",
    "tests/daemon/test_orchestrator.py::test_the_status_shows_what_the_children_say": WORDS,
    "tests/daemon/test_orchestrator.py::test_a_second_signal": SIGNALS,
    "tests/daemon/test_orchestrator.py::test_the_one_above_hears": "nobody above a daemon on Windows hears sd_notify",
    "tests/daemon/test_orchestrator.py::test_the_daemon_is_small": "it is measured in /proc",
    "tests/daemon/test_orchestrator.py::test_a_state_folder_without_room_is_one_clear_error[control.sock]": (
        "the control socket is a loopback port here"
    ),
    "tests/daemon/test_service_windows.py::test_a_failure_starts_it_again": (
        "Wine 8: its service manager knows no SERVICE_CONFIG_FAILURE_ACTIONS_FLAG"
    ),
    "tests/core/test_files.py::test_a_folder_is_no_readable_file": WORDS,
    "tests/core/test_files.py::test_a_new_folder_is_for_its_owner_alone": MODES,
    "tests/core/test_files.py::test_a_folder_that_cannot_be_made_is_named": WORDS,
    "tests/core/test_files.py::test_an_atomic_write_replaces_the_whole_and_sets_the_mode": MODES,
    "tests/core/test_files.py::test_a_failed_atomic_write_leaves_the_old_bytes": WORDS,
    "tests/core/test_files.py::test_a_full_disk_is_one_line": WORDS,
    "tests/core/test_files.py::test_a_lock_whose_file_cannot_be_made_is_named": WORDS,
    "tests/core/test_files.py::test_a_note_that_finds_no_room_names_the_lock": WORDS,
    "tests/core/test_files.py::test_a_lock_whose_file_was_removed_or_replaced": IN_USE,
    "tests/core/test_files.py::test_a_file_system_without_locks": "flock is POSIX's",
    "tests/core/test_program.py::test_a_wrong_configuration_is_one_line_and_78": WORDS,
    "tests/core/test_program.py::test_a_signal_asks_the_work_to_stop": SIGNALS,
    "tests/net/test_budget.py::test_a_lane_that_finds_no_room_on_the_disk_is_named": WORDS,
    "tests/net/test_budget.py::test_a_process_killed_at_any_moment_leaves_a_lane_that_works": SIGNALS,
    "tests/storage/test_archive.py::test_only_the_owner_can_read": MODES,
    "tests/storage/test_engine.py::test_a_missing_folder_is_named": WORDS,
    "tests/storage/test_engine.py::test_a_read_only_": MODES,
    "tests/storage/test_engine.py::test_an_unreadable_file": MODES,
    "tests/storage/test_engine.py::test_a_reader_reads_a_file_that_it_cannot_write": MODES,
    "tests/storage/test_engine.py::test_a_path_with_odd_characters": "Windows allows no ? in a file's name",
    "tests/storage/test_prepare.py::test_as_a_process_it_ends_with_78_and_one_line_for_a_foreign_database": WORDS,
    "tests/storage/test_reader.py::test_a_replaced_file_is_read": IN_USE,
    "tests/storage/test_reader.py::test_a_follower_of_a_server_that_was_restarted": "PostgreSQL's server is not here",
    "tests/storage/test_recorder.py::test_nothing_is_lost_when_the_journal_is_rotated": WINE_END,
    "tests/storage/test_recorder.py::test_asked_to_stop_it_drains_once_more": WINE_END,
    "tests/storage/test_recorder.py::test_a_database_that_is_away": IN_USE,
    "tests/storage/test_recorder.py::test_as_a_process_it_runs_until_sigterm": SIGNALS,
    "tests/storage/test_restore.py::test_a_schema_taken_back_to_nothing": IN_USE,
    "tests/storage/test_restore.py::test_a_folder_gets_configuration_and_proxies_too": MODES,
    "tests/storage/test_writer.py::test_a_file_that_was_": IN_USE,
}
"""Test, or the beginning of its name -> why it is not run."""
