"""What to think of the facts: one row for each thing that was looked at, with what to do. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from core.answers import AccountInfo
from core.clients import entry
from core.doctor.facts import Facts, Program, Reached
from core.model import AccountKind, LoginState, Standing
from core.wording import KIND_NAMES, clock_time, span, state_text

Verdict = Literal["ok", "note", "problem"]

SKEW_NOTED_S = 30.0
SKEW_WRONG_S = 300.0
"""From here on, reset times and quiet hours are off by more than a person overlooks."""
LITTLE_BYTES = 500 * 1024 * 1024
HARDLY_BYTES = 50 * 1024 * 1024
"""Logs, history and config may grow by some twenty megabytes."""
_SHARED = 0o077
_START = "tidegate, or without a desktop: tidegate serve"
_SIGN_IN = "tidegate add claude"


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was looked at. `fix` is what to do, a command where there is one; empty when all is well."""

    check: str
    verdict: Verdict
    text: str
    fix: str = ""


def judge(facts: Facts) -> tuple[Row, ...]:
    """A row for each finding, in the order in which things depend on each other."""
    return tuple(row for look in _LOOKS for row in look(facts))


def healthy(rows: tuple[Row, ...]) -> bool:
    """Whether nothing has to be done."""
    return all(row.verdict != "problem" for row in rows)


def _instance(facts: Facts) -> Iterator[Row]:
    if facts.instance:
        text = f"Tidegate {facts.instance.version} runs at port {facts.instance.port} (pid {facts.instance.pid})"
        if facts.instance.version == facts.version:
            yield Row("instance", "ok", text)
        else:
            yield Row(
                "instance",
                "problem",
                f"{text}, and this command is {facts.version}",
                "Quit the one that runs and start it again.",
            )
    elif facts.hung:
        yield Row(
            "instance",
            "problem",
            f"A Tidegate uses {facts.folder} and does not answer",
            f"End it, look at its log (tidegate logs), then start it again: {_START}",
        )
    elif not facts.installed:
        yield Row("instance", "note", f"Nothing is set up in {facts.folder} yet", "tidegate add claude, or add api-key")
    else:
        yield Row("instance", "note", f"Tidegate {facts.version} is not running", _START)


def _port(facts: Facts) -> Iterator[Row]:
    if facts.taken_by is not None:
        yield Row(
            "port",
            "problem",
            f"Port {facts.port} is taken{facts.taken_by}",
            f"End that program, or use another port: tidegate config set port {facts.port + 1}",
        )
    elif not facts.instance and not facts.hung:
        yield Row("port", "ok", f"Port {facts.port} is free")


def _local_key(facts: Facts) -> Iterator[Row]:
    if facts.local_key:
        yield Row("local key", "problem", facts.local_key.title, facts.local_key.hint)
    elif not facts.has_key:
        yield Row("local key", "note", "The first start makes the key that clients send", _START)
    elif not facts.hung and not facts.accounts_trouble:  # else nobody could be asked
        yield Row("local key", "ok", "The key that clients send is in its place")


def _vault(facts: Facts) -> Iterator[Row]:
    name = "keychain" if facts.vault_kind == "keyring" else "file vault"
    if facts.vault:
        fix = facts.vault.hint or "tidegate --vault file (sealed by a passphrase)"
        yield Row(name, "problem", facts.vault.title, fix)
    else:
        yield Row(name, "ok", f"An item was written, read and removed in {facts.vault_took_s:.2f} s")


def _desktop(facts: Facts) -> Iterator[Row]:
    desktop = facts.desktop
    if desktop.session is None:
        yield Row("tray", "ok", "The system has a tray of its own")
        return
    if not desktop.session:
        yield Row("tray", "note", "There is no desktop session here", "Without an icon: tidegate serve")
        return
    if desktop.tray == "none":
        fix = "Add a tray to your panel (GNOME: the extension AppIndicator). Until then: tidegate dashboard"
        yield Row("tray", "note", "No panel here shows tray icons", fix)
    else:
        yield Row("tray", "ok", f"A panel shows tray icons ({desktop.tray})")
    if desktop.notifications:
        yield Row("notifications", "ok", "Messages can be shown")
    else:
        fix = "Install a notification daemon such as dunst. What happened is told by: tidegate history"
        yield Row("notifications", "note", "No program here shows messages", fix)


def _clock(facts: Facts) -> Iterator[Row]:
    if facts.skew_s is None:
        yield Row("clock", "note", "The provider could not be asked for the time")
        return
    off_s = abs(facts.skew_s)
    if off_s < SKEW_NOTED_S:
        yield Row("clock", "ok", "This computer's clock agrees with the provider's")
        return
    way = "ahead of" if facts.skew_s > 0 else "behind"
    verdict: Verdict = "problem" if off_s >= SKEW_WRONG_S else "note"
    text = f"This computer's clock is {span(off_s)} {way} the provider's"
    yield Row("clock", verdict, text, "Have it set by the network: timedatectl set-ntp true")


def _programs(facts: Facts) -> Iterator[Row]:
    for program in facts.programs:
        yield _program(program, f"http://127.0.0.1:{facts.instance.port}" if facts.instance else "")


def _program(program: Program, address: str) -> Row:
    name = entry(program.name).name
    again = f"tidegate connect {program.name}, or tidegate undo {program.name}"
    if program.trouble:
        return Row("program", "problem", f"{name}: {program.trouble.title}", program.trouble.hint)
    if program.ours is None:
        return Row("program", "problem", f"{name} is connected, but {program.file} is gone", again)
    if not program.ours:
        return Row("program", "problem", f"{name}: what was set in {program.file} was changed since", again)
    if address and program.address != address:
        return Row("program", "problem", f"{name} asks {program.address}, and Tidegate is at {address}", again)
    return Row("program", "ok", f"{name} is connected by {program.file}")


def _accounts(facts: Facts) -> Iterator[Row]:
    if facts.accounts_trouble:
        yield Row("accounts", "problem", facts.accounts_trouble.title, facts.accounts_trouble.hint)
    elif facts.installed and not facts.accounts and not facts.hung:
        yield Row("accounts", "note", "There is no account yet", "tidegate add claude, add api-key, or import")
    for info in facts.accounts:
        yield _account(info)


def _account(info: AccountInfo) -> Row:
    said = [f"{info.label} ({KIND_NAMES[info.kind]}): {state_text(info, info.at)}"]
    if info.generation is not None:
        said.append(f"generation {info.generation}")
    if info.renewed_at is not None:
        said.append(f"renewed {span(info.at - info.renewed_at)} ago")
    if info.login.ends_at is not None:
        said.append(f"its login serves until {clock_time(info.login.ends_at, info.at)}")
    verdict, fix = _of_account(info)
    return Row("account", verdict, ", ".join(said), fix)


def _of_account(info: AccountInfo) -> tuple[Verdict, str]:
    again = f"Sign in again: {_SIGN_IN}" if info.kind is AccountKind.CLAUDE else f"Add its new key: {_key(info)}"
    if info.standing is Standing.SIGN_IN:
        return "problem", again
    if info.standing is Standing.LOCKED:
        return "problem", "Unlock the keychain, then: tidegate refresh all"
    if info.generation is None:
        return "problem", f"Its credential cannot be read. Look at the keychain, else: {again}"
    match info.login.state:
        case LoginState.FINE | LoginState.RENEWING:
            return "ok", ""
        case LoginState.IN_DOUBT:
            return "note", f"Its renewal was cut off and is tried again: tidegate refresh {info.label!r}"
        case LoginState.ENDING:
            return "note", f"It cannot be renewed. {again}"
        case LoginState.UNSAVED:
            return "problem", "The keychain did not take its renewed login: unlock it, and do not end Tidegate before"


def _key(info: AccountInfo) -> str:
    return "tidegate add go" if info.kind is AccountKind.GO else "tidegate add api-key"


def _upstreams(facts: Facts) -> Iterator[Row]:
    for reached in facts.upstreams:
        yield _upstream(reached)


def _upstream(reached: Reached) -> Row:
    if not reached.trouble:
        return Row("provider", "ok", f"{reached.where} takes connections ({reached.took_s:.2f} s)")
    verdict: Verdict = "problem" if reached.wanted else "note"
    fix = "Look at the network, a firewall or a VPN; which address is asked: tidegate config get"
    return Row("provider", verdict, f"{reached.where} cannot be reached: {reached.trouble}", fix)


def _files(facts: Facts) -> Iterator[Row]:
    for file in facts.open_files:
        text = f"Others may read {file.path} (mode {file.mode & 0o777:o})"
        yield Row("files", "problem", text, f"chmod {file.mode & 0o777 & ~_SHARED:o} '{file.path}'")
    if not facts.open_files:
        yield Row("files", "ok", f"What is in {facts.folder} is for its owner only")


def _disk(facts: Facts) -> Iterator[Row]:
    free = f"{facts.free_bytes / 1e9:.1f} GB are free"
    if facts.free_bytes >= LITTLE_BYTES:
        yield Row("disk", "ok", free)
    else:
        verdict: Verdict = "problem" if facts.free_bytes < HARDLY_BYTES else "note"
        text = f"The disk of {facts.folder} is almost full: {facts.free_bytes / 1e6:.0f} MB are free"
        yield Row("disk", verdict, text, "Make room: renewed logins have to be saved.")


def _other(facts: Facts) -> Iterator[Row]:
    for trouble in facts.other:
        yield Row("doctor", "problem", trouble.title, trouble.hint)


_LOOKS: tuple[Callable[[Facts], Iterator[Row]], ...] = (
    _other,
    _instance,
    _port,
    _vault,
    _local_key,
    _accounts,
    _upstreams,
    _clock,
    _programs,
    _desktop,
    _files,
    _disk,
)
