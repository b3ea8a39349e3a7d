"""What is said of each step of an import, before it is done and after. Pure."""

from collections.abc import Mapping
from typing import assert_never

from core.answers import ImportLine
from core.import_plan import Import, Skip, Update
from core.imports.found import Problem
from core.imports.tidegate import PROGRAM
from core.model import AccountKind, ApiKey, OAuthTokens
from core.wording import KIND_NAMES, clock_time

_OWN = "`tidegate add claude --paste` makes it Tidegate's own"


def line(step: Import | Update | Skip | Problem, now: float, *, dry: bool) -> ImportLine:
    """One line for the person; `dry` says what would be done."""
    match step:
        case Import():
            return _import_line(step, now, dry=dry)
        case Update():
            return _update_line(step, now, dry=dry)
        case Skip():
            return ImportLine("skip", f"Skipped {step.label} from {step.program}: {step.why}", step.label, step.program)
        case Problem():
            return ImportLine("problem", f"{step.path}: {step.why}")
        case _:
            assert_never(step)


def settings_line(wanted: Mapping[str, str], *, dry: bool) -> ImportLine:
    """The line for the settings of an export. `wanted`: those that are taken over."""
    if not wanted:
        return ImportLine("skip", "Settings stay as they are here", program=PROGRAM)
    listed = ", ".join(f"{name} {said}" for name, said in wanted.items())
    return ImportLine("settings", f"{'Would take over' if dry else 'Took over'} {listed}", program=PROGRAM)


def _import_line(step: Import, now: float, *, dry: bool) -> ImportLine:
    added = f"{'Would add' if dry else 'Added'} {step.label}"
    kind, off = KIND_NAMES[step.kind], "" if step.enabled else ", disabled as it is there"
    match step.credential:
        case None:
            deed = "sign in" if step.kind is AccountKind.CLAUDE else "add its key"
            text = f"{added}: {kind} from {step.program}{off}; {deed} to let it serve"
            return ImportLine("import", text, step.label, step.program, step.kind)
        case ApiKey():
            text = f"{added}: {kind} from {step.program}{off}"
            return ImportLine("import", text, step.label, step.program, step.kind)
        case OAuthTokens(expires_at=until_at):
            until = f"it serves until {clock_time(until_at, now)}"
            text = f"{added}, {kind} from {step.program}{off}: {until}"
            if step.borrowed_from:
                text = f"{added}, borrowed from {step.borrowed_from}{off}: {until}, or until you sign out there; {_OWN}"
            return ImportLine("import", text, step.label, step.program, step.kind, bool(step.borrowed_from), until_at)
        case _:
            assert_never(step.credential)


def _update_line(step: Update, now: float, *, dry: bool) -> ImportLine:
    account, program = step.account, step.program
    updated = f"{'Would update' if dry else 'Updated'} {account.label}"
    match step.credential:
        case ApiKey():
            return ImportLine("update", f"{updated}: it has its key again", account.label, program, account.kind)
        case OAuthTokens(expires_at=until_at):
            until = f"it serves until {clock_time(until_at, now)}"
            text = f"{updated}: {until}"
            if step.borrowed_from:
                text = f"{updated}, borrowed from {step.borrowed_from}: {until}; {_OWN}"
            return ImportLine("update", text, account.label, program, account.kind, bool(step.borrowed_from), until_at)
        case _:
            assert_never(step.credential)
