"""Which tests the Windows Python runs, and which of them it cannot pass, with the reason. Data only."""

from __future__ import annotations

CHOSEN = (
    # A child's own half, and what it shares with the others: files, locks, the frame around its work.
    "tests/core/test_child_windows.py",
    "tests/core/test_files.py",
    "tests/core/test_logs.py",
    "tests/core/test_program.py",
    "tests/net/test_budget.py",
    # The supervisor: everything that starts, stops, hears, notes or tells, with real processes.
    "tests/daemon/test_alerts.py",
    "tests/daemon/test_beats_windows.py",
    "tests/daemon/test_child.py",
    "tests/daemon/test_child_logs.py",
    "tests/daemon/test_client.py",
    "tests/daemon/test_control.py",
    "tests/daemon/test_crew.py",
    "tests/daemon/test_holds.py",
    "tests/daemon/test_jobs.py",
    "tests/daemon/test_journal.py",
    "tests/daemon/test_launch.py",
    "tests/daemon/test_leftovers.py",
    "tests/daemon/test_orchestrator.py",
    "tests/daemon/test_prepare.py",
    "tests/daemon/test_process_windows.py",
    "tests/daemon/test_reload.py",
    "tests/daemon/test_service_windows.py",
    "tests/daemon/test_system.py",
    "tests/cli/test_service_windows.py",
    # The table in a SQLite file, and all of it together.
    "tests/storage",
    "tests/windows",
)
"""What touches the system. What only computes is the same everywhere, and runs with the rest of the suite."""

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
UNIX = "it asks over a Unix socket; those that ask over loopback run"
LIMITS = "the test sets what Windows has not: limits of a process, pipes of a size, terminals"
ABOVE = "nobody above a daemon on Windows hears sd_notify"
FIFO = "Windows has no pipes in its folders"

SKIPPED = {
    "tests/core/test_logs.py::test_a_full_disk_never_raises": WORDS,
    "tests/core/test_logs.py::test_a_broken_pipe_neither_stops": LIMITS,
    "tests/core/test_logs.py::test_a_process_without_standard_error": LIMITS,
    "tests/core/test_logs.py::test_every_value_can_be_written[value2-/a]": WORDS,
    "tests/core/test_logs.py::test_a_reader_who_does_not_read": LIMITS,
    "tests/core/test_logs.py::test_a_process_ends_although_nobody_reads": LIMITS,
    "tests/core/test_logs.py::test_a_stream_that_stands_in_for_a_terminal": LIMITS,
    "tests/daemon/test_child_logs.py::test_a_disk_that_refuses": WORDS,
    "tests/daemon/test_child_logs.py::test_a_file_size_limit": LIMITS,
    "tests/daemon/test_child_logs.py::test_a_flood_holds_up": LIMITS,
    "tests/daemon/test_child_logs.py::test_a_full_disk_is_told": LIMITS,
    "tests/daemon/test_client.py::test_a_daemon_that_hangs": UNIX,
    "tests/daemon/test_client.py::test_a_stale_socket": UNIX,
    "tests/daemon/test_client.py::test_an_answer_that_trickles": UNIX,
    "tests/daemon/test_client.py::test_without_a_daemon": UNIX,
    "tests/daemon/test_control.py::test_a_client_": UNIX,
    "tests/daemon/test_control.py::test_a_path_longer": UNIX,
    "tests/daemon/test_control.py::test_a_request_without_end": UNIX,
    "tests/daemon/test_control.py::test_a_server_that_closes_lets_everybody_go[unix]": UNIX,
    "tests/daemon/test_control.py::test_a_socket_that_a_killed_daemon_left": UNIX,
    "tests/daemon/test_control.py::test_many_clients_at_once_have_each_its_answer[unix]": UNIX,
    "tests/daemon/test_control.py::test_of_too_many_clients": UNIX,
    "tests/daemon/test_control.py::test_only_the_owner": UNIX,
    "tests/daemon/test_journal.py::test_a_full_disk": LIMITS,
    "tests/daemon/test_journal.py::test_an_event_is_on_the_disk": "there is no os.pread",
    "tests/daemon/test_leftovers.py::test_who_was_noted_is_asked_and_then_killed": SIGNALS,
    "tests/daemon/test_reload.py::test_a_file_that_is_gone": FIFO,
    "tests/daemon/test_reload.py::test_a_log_folder_that_cannot_be_written": MODES,
    "tests/daemon/test_reload.py::test_a_pipe_is_refused": FIFO,
    "tests/daemon/test_reload.py::test_a_wrong_configuration_keeps_the_old_one": ABOVE,
    "tests/daemon/test_reload.py::test_limits_and_logs": SIGNALS,
    "tests/daemon/test_reload.py::test_what_a_new_daemon_alone": WORDS,
    "tests/daemon/test_crew.py::test_a_child_that_cannot_be_started_is_tried_again_later": WORDS,
    "tests/daemon/test_crew.py::test_the_last_words_of_a_child": "there is no socket here",
    "tests/daemon/test_crew.py::test_what_a_child_left_behind": STUBS,
    "tests/daemon/test_crew.py::test_a_copy_that_nobody_here_started": "tests/core/test_child_windows.py shows it",
    "tests/daemon/test_crew.py::test_a_child_that_leaks_descriptors": STUBS,
    "tests/daemon/test_crew.py::test_a_stranger_cannot_say": "a child's pipe is its own: no stranger reaches it",
    "tests/daemon/test_orchestrator.py::test_the_status_shows_what_the_children_say": WORDS,
    "tests/daemon/test_orchestrator.py::test_a_second_signal": SIGNALS,
    "tests/daemon/test_orchestrator.py::test_the_one_above_hears": ABOVE,
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
    "tests/windows/test_prices_pass.py::test_one_pass_fills_the_table_and_leaves_a_record[daily": (
        "Wine 8: charts are read with numpy, which needs crealf of ucrtbase.dll"
    ),
}
"""Test, or the beginning of its name -> why it is not run."""
