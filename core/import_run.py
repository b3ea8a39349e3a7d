"""Takes over accounts that other programs have: read, decide, say, and unless it is a dry run, do.

Their files stay as they are, and their logins are never renewed here. Before anything is decided the provider is asked
whose each login is, since the file that tells may speak of another one; that changes nothing either.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import assert_never

import anyio.to_thread
import httpx

from core import import_plan, import_read, profile
from core.admission import Admission
from core.config import ConfigFile
from core.engine import Engine
from core.errors import NothingToDo, SignInFailed, TidegateError
from core.import_plan import Held, Import, Skip, Step, Update
from core.imports.found import Found, Problem
from core.model import AccountId, AccountKind, ApiKey, Endpoints, Serves, SignIn
from core.orders import AddKey, Imported, ImportFrom, ImportLine
from core.tokens import Tokens
from core.wording import KIND_NAMES, clock_time

log = logging.getLogger(__name__)

_OWN = "`tidegate add claude --paste` makes it Tidegate's own"


class Imports:
    """Imports into one installation."""

    def __init__(
        self,
        engine: Engine,
        config: ConfigFile,
        tokens: Tokens,
        admission: Admission,
        *,
        endpoints: Callable[[], Endpoints],
        http: Callable[[], httpx.AsyncClient],
        now: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._config = config
        self._tokens = tokens
        self._admission = admission
        self._endpoints = endpoints
        self._http = http
        self._now = now

    async def run(self, order: ImportFrom) -> Imported:
        """What was done, line by line. Raises UsageError, or NothingToDo when there is no account anywhere."""
        found = await anyio.to_thread.run_sync(_read, order)
        asked = await asyncio.gather(*(self._asked(one) for one in found))
        steps = import_plan.plan(asked, await self._held(), self._now())
        if not steps:
            raise NothingToDo("There is no account to import", "Name a file or a folder: tidegate import PATH.")
        lines = [_line(step, self._now(), dry=True) if order.dry_run else await self._done(step) for step in steps]
        if not order.dry_run:
            log.info("imported: %s", "; ".join(line.text for line in lines))
        return Imported(order.dry_run, tuple(lines))

    async def _asked(self, found: Found | Problem) -> Found | Problem:
        """With the identity that the provider gives, if it can be asked."""
        if isinstance(found, Problem) or found.kind is not AccountKind.CLAUDE or not found.secret:
            return found
        if found.expires_at is not None and found.expires_at <= self._now():
            return found
        try:
            owner = await profile.owner(found.secret, self._endpoints(), self._http())
        except SignInFailed as exc:
            return Problem(found.program, f"{exc.title}. {exc.hint}")
        return found if owner is None else replace(found, identity=owner)

    async def _held(self) -> Sequence[Held]:
        return [
            Held(account, await self._ends_at(account.id) if account.borrowed_from else None)
            for account in self._config.current.accounts
        ]

    async def _ends_at(self, id_: AccountId) -> float | None:
        with contextlib.suppress(TidegateError):  # it may have ended; that is read below all the same
            await self._tokens.secret(id_)
        return self._tokens.expires_at(id_)

    async def _done(self, step: Step) -> ImportLine:
        line = _line(step, self._now(), dry=False)
        try:
            match step:
                case Import(credential=ApiKey(key=key)):
                    order = AddKey(step.kind, key, step.label)
                    done = await self._admission.key(order, enabled=step.enabled)
                    doubt = done.text.removeprefix(f"Added {step.label}")
                    return replace(line, text=f"{line.text}{doubt}")
                case Import():
                    await self._admission.add(
                        step.kind,
                        step.label,
                        Serves.ANY,
                        step.identity,
                        step.credential,
                        enabled=step.enabled,
                        borrowed_from=step.program if step.borrowed else "",
                    )
                case Update():
                    await self._tokens.store(step.account.id, step.credential)
                    self._engine.sign_in(step.account.id, SignIn.OK)
        except TidegateError as exc:
            text = f"{line.label} from {line.program} was left out: {exc.title}"
            return ImportLine("skip" if isinstance(exc, NothingToDo) else "problem", text, line.label, line.program)
        return line


def _read(order: ImportFrom) -> list[Found | Problem]:
    where = import_read.Where(Path(order.home), order.environ)
    if order.path is not None:
        return list(import_read.below(Path(order.path), where))
    return list(import_read.everywhere(where, order.source))


def _line(step: Step, now: float, *, dry: bool) -> ImportLine:
    """What is said of a step."""
    match step:
        case Import(label=label, program=program):
            off = "" if step.enabled else ", disabled as it is there"
            if isinstance(step.credential, ApiKey):
                text = f"{_verb('add', dry)} {label}: {KIND_NAMES[step.kind]} from {program}{off}"
                return ImportLine("import", text, label, program, step.kind)
            until_at = step.credential.expires_at
            until = f"it serves until {clock_time(until_at, now)}"
            if step.borrowed:
                text = f"borrowed from {program}{off}: {until}, or until you sign out there; {_OWN}"
            else:
                text = f"{KIND_NAMES[step.kind]} from {program}{off}: {until}"
            text = f"{_verb('add', dry)} {label}, {text}"
            return ImportLine("import", text, label, program, step.kind, step.borrowed, until_at)
        case Update(account=account, program=program):
            until_at = step.credential.expires_at
            text = f"{_verb('update', dry)} {account.label}, borrowed from {program}: "
            text += f"it serves until {clock_time(until_at, now)}; {_OWN}"
            return ImportLine("update", text, account.label, program, account.kind, borrowed=True, until_at=until_at)
        case Skip():
            return ImportLine("skip", f"Skipped {step.label} from {step.program}: {step.why}", step.label, step.program)
        case Problem():
            return ImportLine("problem", f"{step.path}: {step.why}")
        case _:
            assert_never(step)


def _verb(deed: str, dry: bool) -> str:
    return f"Would {deed}" if dry else f"{deed.capitalize()}{'d' if deed.endswith('e') else 'ed'}"
