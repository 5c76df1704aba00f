from __future__ import annotations

from pathlib import Path

from daemon.units import Service, in_homes, literal, system_unit, user_unit


def test_paths_with_marks_that_systemd_reads_are_written_so_that_it_reads_them_as_they_are() -> None:
    service = Service(
        command=(literal(Path("/opt/50 % off/$HOME/tickerd")),),
        folder=literal(Path("/srv/my data")),
        config=literal(Path('/srv/my data/$a "b".toml')),
        writable=[literal(Path("/srv/my data")), literal(Path("/var/log/100%"))],
        account="me",
    )
    lines = system_unit(service).splitlines()
    assert r'ExecStart="/opt/50 %% off/$HOME/tickerd" run --config "/srv/my data/$$a \"b\".toml"' in lines
    assert r'ExecReload="/opt/50 %% off/$HOME/tickerd" reload --config "/srv/my data/$$a \"b\".toml"' in lines
    assert "WorkingDirectory=/srv/my data" in lines
    assert 'ReadWritePaths="/srv/my data" /var/log/100%%' in lines
    assert "User=me" in lines


def test_the_homes_are_hidden_unless_the_service_needs_something_there() -> None:
    service = Service(command=("t",), folder="/var/lib/tickerd", state_folder=True)
    assert "ProtectHome=yes" in system_unit(service).splitlines()
    assert "StateDirectory=tickerd" in system_unit(service).splitlines()
    reads = Service(command=("t",), folder="/home/me", reads_homes=True)
    assert "ProtectHome=read-only" in system_unit(reads).splitlines()
    assert "ProtectHome=read-only" in user_unit(reads).splitlines()
    assert in_homes([Path("/opt"), Path("/home/me/x")])
    assert in_homes([Path("/root")])
    assert not in_homes([Path("/opt"), Path("/homes"), Path("/srv")])


def test_a_users_unit_asks_for_no_account_and_no_target_that_its_manager_lacks() -> None:
    lines = user_unit(Service(command=("t",), folder="/home/me")).splitlines()
    assert not [line for line in lines if line.startswith(("User=", "Wants=", "After=", "StateDirectory="))]
    assert {"PrivateUsers=yes", "WantedBy=default.target"} <= set(lines)
