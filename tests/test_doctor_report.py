from dataclasses import replace

import pytest
from msgspec import structs

from core.doctor.facts import OpenFile, Program, Reached, Trouble
from core.doctor.report import report
from core.model import AccountId, Standing
from tests.test_doctor_judge import WELL, WORK

CANARIES = (
    "Ada's own",
    "ada@lovelace.example",
    "lovelace",
    "sk-ant-oat01-CANARYCANARY",
    "tg-CANARY_CANARY",
    "01234567-89ab-cdef-0123-456789abcdef",
    "/home/lovelace",
    "gateway.corp.example",
)
OWN = structs.replace(
    WORK,
    label="Ada's own",
    email="ada@lovelace.example",
    standing=Standing.COOLING,
    detail="refused for ada@lovelace.example with sk-ant-oat01-CANARYCANARY",
)
FACTS = replace(
    WELL,
    folder="/home/lovelace/.local/share/tidegate",
    accounts=(OWN, structs.replace(WORK, id=AccountId("a2"), label="ada@lovelace.example")),
    programs=(
        Program("opencode", "/home/lovelace/.config/opencode.json", "http://127.0.0.1:8433", ours=True),
        Program("shell", "/x", "", ours=False, trouble=Trouble("/home/lovelace/x: tg-CANARY_CANARY", "Ada's own")),
    ),
    upstreams=(
        Reached("gateway.corp.example:443", wanted=True, trouble="refused"),
        Reached("api.anthropic.com:443", wanted=True),
    ),
    local_key=Trouble("id 01234567-89ab-cdef-0123-456789abcdef"),
    open_files=(OpenFile("/home/lovelace/.local/share/tidegate/config.json", 0o644),),
    changed_settings=("endpoints.anthropic_api_url",),
)


@pytest.mark.parametrize("canary", CANARIES)
def test_report_tells_strangers_nothing_of_the_person(canary: str) -> None:
    assert canary not in report(FACTS, "/home/lovelace", "lovelace")


def test_report_tells_what_a_maintainer_needs() -> None:
    text = report(FACTS, "/home/lovelace", "lovelace")
    assert text.startswith("Tidegate 1.0, Linux\n")
    for told in (
        "Accounts: claude, claude",
        "Settings changed: endpoints.anthropic_api_url",
        "account: Account 1 (Claude subscription)",
        "account: Account 2 (Claude subscription)",
        "an address of their own cannot be reached: refused",
        "api.anthropic.com:443 takes connections",
        "~/.config/opencode.json",
        "problem files",
    ):
        assert told in text
