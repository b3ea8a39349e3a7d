"""Takes over accounts that other programs have: read, decide, say, and unless it is a dry run, do.

Their files stay as they are, and their logins are never renewed here. Before anything is decided the provider is asked
whose each login is, since the file that tells may speak of another one; that changes nothing either.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from core import import_plan, import_read, import_wording, profile
from core.admission import NEW, Admission
from core.answers import Imported, ImportLine
from core.blocking import blocking
from core.config import ConfigFile
from core.engine import Engine
from core.errors import NothingToDo, SignInFailed, TidegateError, UsageError
from core.import_plan import Held, Import, Step, Update
from core.imports.found import Finding, Found, Preferences, Problem
from core.model import Account, AccountKind, ApiKey, Endpoints, Settings, SignIn
from core.orders import ImportFrom
from core.settings import setting_texts, with_setting
from core.tokens import Tokens

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)


class Imports:
    """Imports into one installation. `set_setting` takes a setting over, in the words of `tidegate config set`."""

    def __init__(
        self,
        engine: Engine,
        config: ConfigFile,
        tokens: Tokens,
        admission: Admission,
        *,
        endpoints: Callable[[], Endpoints],
        http: "Callable[[], httpx.AsyncClient]",
        now: Callable[[], float],
        set_setting: Callable[[str, str], Awaitable[object]],
    ) -> None:
        self._engine = engine
        self._config = config
        self._tokens = tokens
        self._admission = admission
        self._endpoints = endpoints
        self._http = http
        self._now = now
        self._set_setting = set_setting

    async def run(self, order: ImportFrom) -> Imported:
        """What was done, line by line.

        Raises UsageError, NothingToDo when there is no account anywhere, TidegateError when a seal does not open.
        """
        try:
            found = await blocking(_read, order)
        except import_read.PassphraseWanted:
            return Imported(order.dry_run, (), sealed=True)
        asked = await asyncio.gather(*(self._asked(one) for one in found))
        steps = import_plan.plan(asked, await self._held(), self._now())
        if not steps:
            raise NothingToDo("There is no account to import", "Name a file or a folder: tidegate import PATH.")
        lines = [self._line(step, dry=True) if order.dry_run else await self._done(step) for step in steps]
        if not order.dry_run:
            log.info("imported: %s", "; ".join(line.text for line in lines))
        return Imported(order.dry_run, tuple(lines))

    async def _asked(self, found: Finding) -> Finding:
        """With the identity that the provider gives, if it can be asked."""
        if not isinstance(found, Found) or found.kind is not AccountKind.CLAUDE or not found.secret:
            return found
        if found.expires_at is not None and found.expires_at <= self._now():
            return found
        try:
            owner = await profile.owner(found.secret, self._endpoints(), self._http())
        except SignInFailed as exc:
            if found.choices is not None:  # of an export the rest is worth having
                return replace(found, secret="")
            return Problem(found.program, f"{exc.title}. {exc.hint}")
        return found if owner is None else replace(found, identity=owner)

    async def _held(self) -> Sequence[Held]:
        return [await self._as_held(account) for account in self._config.current.accounts]

    async def _as_held(self, account: Account) -> Held:
        try:
            facts = await self._tokens.facts(account.id)
        except TidegateError:  # a vault that does not answer: then it cannot be written to either
            return Held(account)
        return Held(account, facts.ends_at if facts and account.borrowed_from else None, empty=facts is None)

    async def _done(self, step: Step) -> ImportLine:
        line = self._line(step, dry=False)
        try:
            match step:
                case Import(credential=ApiKey(key=key)):
                    done = await self._admission.checked(_account(step), key)
                    doubt = done.text.removeprefix(f"Added {step.label}")
                    return structs.replace(line, text=f"{line.text}{doubt}")
                case Import():
                    await self._admission.add(_account(step), step.credential)
                case Update(account=account):
                    await self._tokens.store(account.id, step.credential)
                    self._engine.sign_in(account.id, SignIn.OK)
                    if account.borrowed_from != step.borrowed_from:
                        owner = step.borrowed_from
                        await self._admission.change([account.id], lambda a: structs.replace(a, borrowed_from=owner))
                case Preferences():
                    for name, said in wanted(step.texts, self._config.current.settings).items():
                        await self._set_setting(name, said)
        except TidegateError as exc:
            text = f"{line.label or 'Settings'} from {line.program} was left out: {exc.title}"
            return ImportLine("skip" if isinstance(exc, NothingToDo) else "problem", text, line.label, line.program)
        return line

    def _line(self, step: Step, *, dry: bool) -> ImportLine:
        if isinstance(step, Preferences):
            return import_wording.settings_line(wanted(step.texts, self._config.current.settings), dry=dry)
        return import_wording.line(step, self._now(), dry=dry)


def _account(step: Import) -> Account:
    return Account(
        NEW,
        step.label,
        step.kind,
        step.identity,
        step.enabled,
        step.choices.serves,
        borrowed_from=step.borrowed_from,
        plan_limits_only=step.choices.plan_limits_only,
        muted=step.choices.muted,
    )


def wanted(texts: Mapping[str, str], here: Settings) -> dict[str, str]:
    """The settings of an export to take over: those that nobody has changed here."""
    ours, defaults = setting_texts(here), setting_texts(Settings())
    return {
        name: said
        for name, said in texts.items()
        if name in ours and ours[name] == defaults[name] != said and _is_valid(here, name, said)
    }


def _is_valid(here: Settings, name: str, said: str) -> bool:
    """An export of another version, or one that was changed by hand, may say anything."""
    try:
        with_setting(here, name, said)
    except UsageError:
        return False
    return True


def _read(order: ImportFrom) -> list[Finding]:
    where = import_read.Where(Path(order.home), order.environ, passphrase=order.passphrase)
    if order.path is not None:
        return list(import_read.below(Path(order.path), where))
    return list(import_read.everywhere(where, order.source))
