"""The vocabulary of one supervised process: its states, what happens to it, what is ordered. Decides nothing.

Times are monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from core.settings import Supervisor

Cause = Literal[
    "crash", "exit", "oom", "signal", "stall", "no_beat", "memory", "files", "config", "operator", "schedule"
]
Order = Literal["spawn", "ask", "terminate", "abort", "kill"]
"""ask: the process itself may end; terminate: its whole group is told to; abort: it writes its stacks and ends;
kill: the group and whoever descends from it are ended."""


class State(StrEnum):
    """`open`: the breaker is; the process is tried again each `backoff_max_s`, for ever."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    BACKOFF = "backoff"
    OPEN = "open"
    HELD = "held"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """What the plan says; `session` names the one it speaks of: a manual stop may end with it."""

    wanted: bool
    reason: str = ""
    enabled: bool = True
    session: str = ""
    cause: Cause = "schedule"


@dataclass(frozen=True, slots=True)
class Spawned:
    pid: int


@dataclass(frozen=True, slots=True)
class SpawnFailed:
    reason: str


@dataclass(frozen=True, slots=True)
class Ready:
    pass


@dataclass(frozen=True, slots=True)
class Beat:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Exited:
    """`code` or `signal`; `last_line`: the last that it wrote."""

    code: int | None = None
    signal: int | None = None
    oom: bool = False
    last_line: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    pass


@dataclass(frozen=True, slots=True)
class Resumed:
    """This process itself stood still: each child gets a fresh deadline before it is judged."""


@dataclass(frozen=True, slots=True)
class Memory:
    rss_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """`limit`: how many it may have open."""

    open: int
    limit: int


@dataclass(frozen=True, slots=True)
class Stalled:
    """It beats, but its data stands still while its market is open."""

    reason: str


@dataclass(frozen=True, slots=True)
class Start:
    pass


@dataclass(frozen=True, slots=True)
class Stop:
    pass


@dataclass(frozen=True, slots=True)
class Restart:
    pass


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The configuration was read anew. `changed`: this process was started with other settings; `limits`: its
    deadlines are others now."""

    changed: bool = False
    limits: bool = False


Manual = Start | Stop | Restart
Measured = Memory | Files
Event = Want | Spawned | SpawnFailed | Ready | Beat | Exited | Tick | Resumed | Measured | Stalled | Reloaded | Manual


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """`wake_s`: when time alone makes the next difference; `failures`: when it failed lately; `next_order`: of a
    process that is stopping, what follows if it does not end."""

    name: str
    once: bool = False
    """Exit 0 means that its work is done, not that it failed."""
    state: State = State.WAITING
    since_s: float = 0.0
    reason: str = ""
    want: Want = Want(wanted=False)
    held_session: str | None = None
    """The session in which an operator stopped it, "" if that is not known yet; None: nobody did."""
    pid: int | None = None
    ready_s: float | None = None
    wake_s: float | None = None
    next_order: Order = "kill"
    cause: Cause = "schedule"
    """Why it was last started or stopped."""
    failures: tuple[float, ...] = ()
    attempt: int = 0
    breaker_open: bool = False
    restarts: int = 0

    @property
    def should_run(self) -> bool:
        return self.want.wanted and self.want.enabled and self.held_session is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One state change: a line of the event journal."""

    process: str
    event: str
    from_state: State
    to_state: State
    cause: Cause
    pid: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    child: Child
    orders: tuple[Order, ...] = ()
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """`luck`: a random number in [0, 1) for the jitter."""

    now_s: float
    limits: Supervisor
    luck: float
