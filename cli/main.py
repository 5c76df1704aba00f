"""The entry point: finds a command's module only when it is asked for, turns errors into one line and an exit code."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.metadata import version

import click

from core.errors import EXIT_USAGE, TickerdError
from core.program import print_error

COMMANDS = {
    "run": "cli.run:run",
    "demo": "cli.demo:demo",
    "simulate": "cli.simulate:simulate",
    "status": "cli.control:status",
    "start": "cli.control:start",
    "stop": "cli.control:stop",
    "restart": "cli.control:restart",
    "logs": "cli.logs:logs",
    "plan": "cli.plan:plan",
    "quote": "cli.table:quote",
    "coverage": "cli.table:coverage",
    "scanner": "cli.scanner:scanner",
    "universe": "cli.universe:universe",
    "db": "cli.database:db",
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
    try:
        result = tickerd.main(args=arguments, prog_name="tickerd", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        return EXIT_USAGE
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130  # 128 + SIGINT, as shells report it
    except TickerdError as error:
        print_error(error)
        return error.exit_code
    except BrokenPipeError:
        # `tickerd quote ... | head`: the reader has what it wanted. Silence the interpreter's own last flush.
        sys.stdout = None
        return 0
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    sys.exit(main())
