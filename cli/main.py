"""The entry point: finds a command's module only when it is asked for, turns errors into one line and an exit code."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

import click

from core import logs
from core.errors import EXIT_DONE, EXIT_FAILED, EXIT_USAGE, TickerdError
from core.program import print_error

EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it

COMMANDS = {
    "run": "cli.run:run",
    "demo": "cli.demo:demo",
    "simulate": "cli.simulate:simulate",
    "status": "cli.control:status",
    "start": "cli.control:start",
    "stop": "cli.control:stop",
    "restart": "cli.control:restart",
    "reload": "cli.control:reload",
    "service": "cli.service_windows:service" if sys.platform == "win32" else "cli.service:service",
    "logs": "cli.logs:logs",
    "plan": "cli.plan:plan",
    "quote": "cli.table:quote",
    "coverage": "cli.table:coverage",
    "tail": "cli.tail:tail",
    "audit": "cli.audit:audit",
    "scanner": "cli.scanner:scanner",
    "proxies": "cli.proxies:proxies",
    "probe": "cli.probe:probe",
    "replay": "cli.replay:replay",
    "universe": "cli.universe:universe",
    "api": "cli.api:api",
    "user": "cli.user:user",
    "backtest": "cli.backtest:backtest",
    "scan": "cli.scan:scan",
    "db": "cli.database:db",
    "doctor": "cli.doctor:doctor",
    "config": "cli.configuration:config",
}
"""Command -> where it is; modules are imported one at a time, so that `tickerd status` starts fast."""


class LazyGroup(click.Group):
    """A group whose commands are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("tickerd"), prog_name="tickerd")
def tickerd() -> None:
    """Keeps one SQL table of the whole US stock market fresh, all day, with nobody watching.

    \b
    tickerd demo       see it work now, against a practice market; no internet needed
    tickerd run        the real thing, in the foreground; Ctrl-C stops it
    tickerd status     what runs, how fresh the table is
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    # What a command has to say it prints; `run` and `scanner` set up the logs that people asked for.
    logs.configure(service="cli", level="error", style="text")
    try:
        code = _code_of(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_left()
    return code


def _code_of(arguments: Sequence[str] | None) -> int:
    try:
        # Not click's own main(): that turns a reader who left into exit 1.
        with tickerd.make_context("tickerd", list(sys.argv[1:] if arguments is None else arguments)) as context:
            result = tickerd.invoke(context)
    except click.exceptions.Exit as done:  # after --help
        return done.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return EXIT_USAGE
    except click.ClickException as error:
        print_error(_in_one_line(error))
        return error.exit_code
    except click.Abort:
        print_error(TickerdError("not confirmed, nothing was changed", right="answer y, or give --yes"))
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except TickerdError as error:
        print_error(error)
        return error.exit_code
    return result if isinstance(result, int) else EXIT_DONE


def _in_one_line(error: click.ClickException) -> TickerdError:
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context else "tickerd"
    where = path.removeprefix("tickerd").strip()
    return TickerdError(error.format_message().rstrip("."), where=where, right=f"see `{path} --help`")


def _reader_left() -> int:
    """`tickerd logs | head`: the reader has what it wanted. Spare the interpreter its own last flush."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
