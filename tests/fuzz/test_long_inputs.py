"""What is read in one pass stays quick however long it is: in the square of their length these would take an hour."""

import pytest

from core import jsonc
from core.clients.env_lines import DOTENV, EXPORT, FISH
from core.redaction import for_others, without_secrets
from tests.fuzz.everything import TARGETS

WORDS = (
    "[",
    "a",
    "a.",
    "1",
    "@",
    "a@",
    '{"a":',
    "/*",
    "//",
    "\\",
    '"',
    "data:",
    "\n",
    "\r\n",
    ",",
    ":",
    "=",
    " ",
    "\t",
    "sk-",
    "é",
    "'",
)
LONG = 100_000


@pytest.mark.parametrize("word", WORDS)
def test_one_word_a_hundred_thousand_times_is_read_at_once(word: str) -> None:
    text = (word * LONG)[:LONG]
    assert without_secrets(text)
    assert for_others(text, {"anna": "user"})
    for form in (EXPORT, FISH, DOTENV):
        assert form.get(text, ("ANTHROPIC_BASE_URL",)) == (False, None)
    try:
        jsonc.read(text)
    except jsonc.Malformed as exc:
        assert str(exc)


@pytest.mark.fuzz
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", TARGETS)
def test_long_inputs_of_one_word_keep_every_promise(name: str) -> None:
    for word in WORDS:
        TARGETS[name].check((word.encode() * 20_000)[:20_000])
