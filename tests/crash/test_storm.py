"""Real processes, killed with SIGKILL again and again: no account is ever lost without a word."""

import asyncio
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.crash import figures, record
from tests.crash.checker import Verdict, check
from tests.crash.figures import Tell
from tests.crash.program import PASSPHRASE
from tests.crash.provider import storm_provider
from tests.crash.record import AnyEvent, Found
from tests.crash.storm import Plan, Storm, at_lines, at_random, on_wire, storm
from tests.integration.secret_service import Desktop, desktop

pytestmark = pytest.mark.anyio

Plans = Callable[[Storm, random.Random], Sequence[Plan]]


@dataclass
class Ridden:
    """A storm that is over."""

    events: list[AnyEvent]
    accounts: tuple[str, ...]
    verdict: Verdict
    missed: int
    answers: int
    signed_in: int
    temporary: int
    lines: int
    seconds: float = field(default=0.0)


async def ride(root: Path, seed: int, plans: Plans, **options: object) -> Ridden:
    """One installation through all of its plans, and what the checker makes of the record."""
    chance = random.Random(seed)
    root.mkdir()
    began_at = time.monotonic()
    async with storm_provider(chance) as provider, storm(root, provider, **options) as made:  # type: ignore[arg-type]
        await made.live(None)
        chosen = plans(made, chance)
        for plan in chosen:
            await made.live(plan)
        await made.finish()
        accounts = tuple(made.accounts)
        record.save(root / "record.jsonl", provider.record)
        return Ridden(
            provider.record,
            accounts,
            check(provider.record, accounts),
            made.missed,
            made.answers,
            made.signed_in,
            made.temporary,
            len({plan.point.name for plan in chosen if hasattr(plan, "point")}),
            time.monotonic() - began_at,
        )


def report(tell: Tell, test: str, seed: int, ridden: Sequence[Ridden], seconds: float) -> None:
    verdicts = [each.verdict for each in ridden]
    tell(figures.storm_table(verdicts))
    tell(
        figures.line(
            test,
            n=sum(verdict.killed for verdict in verdicts),
            violations=sum(len(verdict.violations) for verdict in verdicts),
            seconds=seconds,
            seed=seed,
            **figures.storm_figures(verdicts),
            lines_struck=sum(each.lines for each in ridden),
            never_struck=sum(each.missed for each in ridden),
            answers=sum(each.answers for each in ridden),
            sign_ins=sum(each.signed_in for each in ridden),
        )
    )
    for each in ridden:
        assert not each.verdict.violations, "\n".join(each.verdict.violations)
        assert each.temporary == 0, "files that were being written lie about after an orderly end"
        assert each.answers > each.verdict.killed, "it hardly served anybody: that was no storm"


@pytest.mark.timeout(400)  # 30 s by itself; machines that run tests are often busy
async def test_two_dozen_kills_lose_no_account_and_a_forged_record_is_found_out(
    tmp_path: Path, tell: Tell, seed: int
) -> None:
    began_at = time.monotonic()
    ridden = await asyncio.gather(
        ride(tmp_path / "a", seed, lambda _, chance: [*at_random(8, chance), *on_wire(3, chance)]),
        ride(tmp_path / "b", seed + 1, lambda made, chance: at_lines(13, chance, made.counts)),
    )

    report(tell, "T01 short", seed, ridden, time.monotonic() - began_at)
    assert sum(each.verdict.killed for each in ridden) >= 20
    for each in ridden:
        number, found = next((n, e) for n, e in enumerate(each.events) if isinstance(e, Found))
        forged = {label: replace(rest, token=None) for label, rest in found.accounts.items()}
        each.events[number] = replace(found, accounts=forged)
        assert len(check(each.events, each.accounts).violations) >= len(each.accounts)


@pytest.mark.crash
@pytest.mark.timeout(1_500)
async def test_hundreds_of_kills_at_random_moments_on_the_wire_and_at_named_lines(
    tmp_path: Path, tell: Tell, seed: int
) -> None:
    began_at = time.monotonic()
    ridden = await asyncio.gather(
        ride(tmp_path / "a", seed, lambda _, chance: [*at_random(88, chance), *on_wire(30, chance)]),
        ride(tmp_path / "b", seed + 1, lambda made, chance: at_lines(160, chance, made.counts)),
    )

    report(tell, "T01", seed, ridden, time.monotonic() - began_at)
    assert sum(each.verdict.killed for each in ridden) >= 270


@pytest.fixture
def session() -> Iterator[Desktop]:
    with tempfile.TemporaryDirectory(prefix="tg-") as root, desktop(Path(root)) as session:
        session.start_keychain(unlocked=True)
        yield session


@pytest.mark.crash
@pytest.mark.timeout(600)
async def test_a_real_keychain_keeps_its_promise_through_the_kills(
    session: Desktop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tell: Tell, seed: int
) -> None:
    address = "DBUS_SESSION_BUS_ADDRESS"
    monkeypatch.setenv(address, session.environment[address])  # for the look at what is left
    began_at = time.monotonic()
    ridden = await ride(
        tmp_path / "a",
        seed,
        lambda made, chance: [*at_random(12, chance), *on_wire(6, chance), *at_lines(18, chance, made.counts)],
        environment={**session.environment, **PASSPHRASE},
        vault="keyring",
    )

    report(tell, "T01 keychain", seed, [ridden], time.monotonic() - began_at)
    assert ridden.verdict.killed >= 30
