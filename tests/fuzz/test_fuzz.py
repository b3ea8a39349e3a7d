"""Every reader of foreign bytes, fuzzed: a few inputs in `make test`, ten minutes of them in `make test-fuzz`.

Inputs that once broke a promise lie in `corpus/`, a folder for each target, and are read again every time.
"""

import hashlib
import os
import random
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.crash.figures import Tell, line
from tests.fuzz.everything import TARGETS

CORPUS = Path(__file__).parent / "corpus"
FEW = 12
ROUND = 500
MINUTES = float(os.environ.get("FUZZ_MINUTES", "10"))
QUIET = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)


def keep(name: str, data: bytes) -> Path:
    """Put an input that broke a promise into the corpus."""
    folder = CORPUS / name.replace(" ", "-").replace("'", "")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.sha256(data).hexdigest()[:12]
    path.write_bytes(data)
    return path


def fuzzed(name: str, examples: int, start: int) -> None:
    """Run a target on inputs of a seed. The smallest that breaks it is kept."""
    broken: list[bytes] = []

    @seed(start)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=QUIET,
        phases=(Phase.generate, Phase.shrink),
    )
    @given(TARGETS[name].inputs)
    def run(data: bytes) -> None:
        try:
            TARGETS[name].check(data)
        except BaseException:
            broken.append(data)
            raise

    try:
        run()
    except BaseException:
        if broken:
            print(f"kept as {keep(name, broken[-1])}")
        raise


@pytest.mark.parametrize("name", TARGETS)
def test_good_inputs_and_those_that_were_once_found_keep_the_promise(name: str) -> None:
    folder = CORPUS / name.replace(" ", "-").replace("'", "")
    found = [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []
    for data in [*TARGETS[name].seeds, b"", *found]:
        TARGETS[name].check(data)


@pytest.mark.parametrize("name", TARGETS)
def test_a_few_inputs_of_any_kind_keep_the_promise(name: str) -> None:
    fuzzed(name, FEW, start=1)


@pytest.mark.fuzz
@pytest.mark.timeout(0)
def test_many_inputs_of_any_kind_keep_the_promise(tell: Tell) -> None:
    """All targets in turn, a round each, with another seed in every round, until the time is over."""
    chance = random.Random(os.environ.get("FUZZ_SEED"))
    began_at = time.monotonic()
    inputs, failures = dict.fromkeys(TARGETS, 0), dict[str, str]()
    while time.monotonic() - began_at < MINUTES * 60:
        for name in TARGETS:
            if name in failures or time.monotonic() - began_at > MINUTES * 60:
                continue
            start = chance.randrange(2**32)
            try:
                fuzzed(name, ROUND, start)
            except Exception as exc:  # noqa: BLE001 - whatever it is, it is a finding, and the others go on
                failures[name] = f"seed {start}: {type(exc).__name__}: {exc}"
            inputs[name] += ROUND
    seconds = time.monotonic() - began_at
    tell(line("fuzz", n=sum(inputs.values()), violations=len(failures), seconds=seconds, targets=len(TARGETS)))
    assert not failures, "\n".join(f"{name}: {text}" for name, text in failures.items())
