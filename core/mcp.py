"""`tidegate mcp`: tools by which a coding agent looks at its own accounts and switches between them.

It speaks MCP on stdin and stdout and reads from the running instance, as every other command does. No answer holds a
credential or an e-mail address: what a model reads goes to its provider.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import msgspec
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from core import __version__, remote
from core.answers import Explanation, Recounted, UsageReport
from core.errors import TidegateError
from core.files import Paths
from core.model import AccountView, ProviderName, Standing, WindowView
from core.wording import (
    FAILOVER_OFF_TEXT,
    KIND_NAMES,
    PROVIDER_NAMES,
    headroom_text,
    notes,
    outlook,
    outlooks,
    pause_text,
    state_text,
    tokens_text,
    window_name,
)

INSTRUCTIONS = (
    "Tidegate sends this program's requests to one of several accounts (subscriptions and API keys) of the person. "
    "Ask it which account is in use, how much quota is left and why an account was chosen; switch when asked to."
)
RECENT = 10
_HOUR_S = 3_600.0
_LOOKS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_SWITCHES = ToolAnnotations(destructive_hint=False, idempotent_hint=True, open_world_hint=False)
_IN_SIGHT = {"anthropic/alwaysLoad": True}
"""Claude Code shows a model most tools only when it searches for them (seen 2026-11); this one it shall know of."""

# --- what is answered: without slots, which the SDK would take for defaults ------------------------


@dataclass(frozen=True)
class Quota:
    """One allowance that begins anew at a known time. Times are ISO 8601 with the person's offset."""

    window: str
    used_percent: int | None
    resets_at: str | None
    runs_dry_at: str | None
    """When it is full at the present rate, if that is before its reset."""
    outlook: str


@dataclass(frozen=True)
class AccountStatus:
    """One account: whether it can serve, and what is left of it."""

    label: str
    kind: str
    provider: str
    ready: bool
    state: str
    in_use: bool
    reason: str
    pinned: bool
    quota: list[Quota]
    notes: list[str]


@dataclass(frozen=True)
class Status:
    """Who pays for requests now."""

    summary: str
    address: str
    strategy: str
    accounts: list[AccountStatus]


@dataclass(frozen=True)
class Switched:
    """What was done."""

    summary: str


@dataclass(frozen=True)
class Turn:
    """One account's place in the line."""

    label: str
    serves: bool
    reason: str
    until: str | None


@dataclass(frozen=True)
class Line:
    """The accounts of one provider, the one that is tried first in front."""

    provider: str
    accounts: list[Turn]


@dataclass(frozen=True)
class Choice:
    """Who would serve the next request, and why the others would not."""

    summary: str
    strategy: str
    lines: list[Line]


@dataclass(frozen=True)
class Used:
    """What one account used of one model."""

    account: str
    model: str
    requests: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int


@dataclass(frozen=True)
class Left:
    """What is left of one account."""

    account: str
    quota: list[Quota]


@dataclass(frozen=True)
class Usage:
    """What was used in the last `days`, what is left, and what happened lately."""

    summary: str
    days: int
    used: list[Used]
    left: list[Left]
    conversations_moved_today: int
    """Within 24 hours; each move costs what the prompt cache held."""
    tokens_to_read_again: int
    lately: list[str]


# --- the tools -------------------------------------------------------------------------------------

Label = Annotated[
    str | None, Field(description="The account's label, as account_status tells it. Leave it out for Tidegate's choice")
]
Hours = Annotated[float | None, Field(description="For how many hours. Leave it out for until further notice", gt=0)]
Days = Annotated[int, Field(description="Of how many days", ge=1, le=366)]
Model = Annotated[str, Field(description="The model that is asked for, such as claude-opus-5; some quotas count one")]
Session = Annotated[str | None, Field(description="The id of a conversation that is going on; else a new one is meant")]


@dataclass(frozen=True, slots=True)
class Tools:
    """Each method is a tool; its docstring is what the model reads to choose one."""

    paths: Paths

    def account_status(self) -> Status:
        """Tell which account (Claude subscription, API key, OpenCode Go key) this session's requests use right now.

        Also tells whether every account is signed in and ready, how full its quota windows are, and when they reset.
        Use it for questions like "what's my auth status?", "which account am I on?", "am I signed in?", "how much of
        my 5-hour limit is left?" or "am I about to be rate-limited?".
        """
        snapshot = remote.snapshot(self._running())
        said = [f"{v.label} serves {PROVIDER_NAMES[v.provider]}: {v.reason}" for v in snapshot.accounts if v.active]
        if not said:
            said = ["No account is ready" if snapshot.accounts else "There is no account yet. Add one: tidegate add"]
        if snapshot.pause:
            said.insert(0, pause_text(snapshot.pause, snapshot.at))
        if not snapshot.failover:
            said.append(FAILOVER_OFF_TEXT)
        accounts = [_status(view, snapshot.at) for view in snapshot.accounts]
        return Status(_sentences(said), snapshot.address, snapshot.strategy, accounts)

    def switch_account(self, account: Label = None, hours: Hours = None) -> Switched:
        """Have one account serve all further requests, or (without an account) let Tidegate choose by itself again.

        Use it only when the person asks for it: "use my work account", "switch to Home for two hours", "stop using
        that account", "go back to automatic".
        """
        if account is None:
            return Switched(self._order("unpin")["text"])
        for_s = None if hours is None else hours * _HOUR_S
        return Switched(self._order("pin", account=account, for_s=for_s)["text"])

    def explain_choice(self, model: Model = "", session: Session = None) -> Choice:
        """Explain why an account was chosen: who serves the next request, and why the others do not.

        Tells who would be tried after it, and of every other account why it cannot serve and until when.
        Use it for questions like "why am I on this account?" or "why is my other account not used?".
        """
        told = msgspec.convert(self._order("explain", model=model, session=session), Explanation)
        said = [pause_text(told.pause, told.at)] if told.pause else []
        for line in told.lines:
            first = line.turns[0] if line.turns and line.turns[0].serves else None
            name = PROVIDER_NAMES[line.provider]
            said.append(f"{name}: {first.label} is next: {first.reason}" if first else f"{name}: nobody can serve")
            if line.lost_since_at is not None:
                said.append(f"{name} cannot be reached")
        lines = [
            Line(line.provider, [Turn(t.label, t.serves, t.reason, _time(t.until_at)) for t in line.turns])
            for line in told.lines
        ]
        return Choice(_sentences(said), told.strategy, lines)

    def usage_summary(self, days: Days = 7) -> Usage:
        """Sum up what was used of each account and model, and what is left.

        Tells requests and tokens of the last days, how full the quota windows are and when they run dry at the present
        rate, how long all accounts last together, and what happened lately (switches, full windows, sign-ins needed).
        Use it for questions like "how much have I used?", "will my quota last?" or "what happened to my accounts?".
        """
        running = self._running()
        snapshot = remote.snapshot(running)
        report = msgspec.convert(remote.call(running, "usage", {"days": days}), UsageReport)
        past = msgspec.convert(remote.call(running, "history", {"limit": RECENT}), Recounted)
        said = [f"{report.total.requests} requests and {tokens_text(report.total.tokens)} tokens in {days} days"]
        said += [text for provider in ProviderName if (text := headroom_text(snapshot, provider))]
        said += [f"{view.label}: {ahead}" for view in snapshot.accounts for ahead in outlooks(view, snapshot.at)]
        return Usage(
            summary=_sentences(said),
            days=days,
            used=[
                Used(one.label, one.model, one.requests, one.input, one.output, one.cache_read, one.cache_write)
                for one in report.by
            ],
            left=[Left(view.label, _quotas(view.windows, snapshot.at)) for view in snapshot.accounts],
            conversations_moved_today=past.moves,
            tokens_to_read_again=past.tokens,
            lately=[f"{_time(entry.at)} {entry.text}" for entry in past.entries],
        )

    def _order(self, name: str, **arguments: object) -> Any:
        return remote.call(self._running(), name, arguments)

    def _running(self) -> remote.Running:
        running = remote.find(self.paths)
        if running is None:
            raise TidegateError(
                "Tidegate is not running", "Ask the person to start it: `tidegate`, or `tidegate serve`."
            )
        return running


def server(paths: Paths) -> MCPServer[Any]:
    """The tools of one installation, ready to be served."""
    tools = Tools(paths)
    made: MCPServer[Any] = MCPServer("tidegate", instructions=INSTRUCTIONS, version=__version__, log_level="WARNING")
    for tool, title, annotations, meta in (
        (tools.account_status, "Accounts and auth status", _LOOKS, _IN_SIGHT),
        (tools.switch_account, "Switch account", _SWITCHES, None),
        (tools.explain_choice, "Why this account", _LOOKS, None),
        (tools.usage_summary, "Usage and quota", _LOOKS, None),
    ):
        made.add_tool(
            _told(tool),
            title=title,
            description=inspect.cleandoc(tool.__doc__ or ""),
            annotations=annotations,
            meta=meta,
            structured_output=True,
        )
    return made


def run(paths: Paths) -> None:
    """Serve on stdin and stdout until the agent closes them."""
    server(paths).run()


def _told(tool: Callable[..., Any]) -> Callable[..., Any]:
    """The same tool, whose errors the model reads as title and hint."""

    @functools.wraps(tool)
    def told(*args: Any, **kwargs: Any) -> Any:
        try:
            return tool(*args, **kwargs)
        except TidegateError as exc:
            raise ToolError(_sentences(filter(None, (exc.title, exc.hint)))) from exc

    return told


def _status(view: AccountView, now: float) -> AccountStatus:
    kind = f"{KIND_NAMES[view.kind]} ({view.plan})" if view.plan else KIND_NAMES[view.kind]
    return AccountStatus(
        label=view.label,
        kind=kind,
        provider=view.provider,
        ready=view.standing is Standing.READY,
        state=state_text(view, now),
        in_use=view.active,
        reason=view.reason,
        pinned=view.pinned,
        quota=_quotas(view.windows, now),
        notes=list(notes(view, now)),
    )


def _quotas(windows: Sequence[WindowView], now: float) -> list[Quota]:
    return [
        Quota(
            window_name(window),
            None if window.utilization is None else round(window.utilization * 100),
            _time(window.resets_at),
            _time(window.dry_at),
            outlook(window, now),
        )
        for window in windows
    ]


def _time(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at).astimezone().isoformat(timespec="minutes")


def _sentences(said: Iterable[str]) -> str:
    return " ".join(text if text.endswith((".", "!", "?")) else f"{text}." for text in said)
