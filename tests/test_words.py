"""What is said in another language, and what is done about translations that cannot be right."""

import gettext
import json
from collections.abc import Iterator, Mapping

import pytest

from core import words


class Catalogue(gettext.NullTranslations):
    """A catalogue that was read."""

    def __init__(self, said: Mapping[str, str]) -> None:
        super().__init__()
        self.said = said

    def gettext(self, message: str) -> str:
        return self.said.get(message, message)

    def ngettext(self, one: str, many: str, count: int) -> str:
        message = one if count == 1 else many
        return self.said.get(message, message)


@pytest.fixture(autouse=True)
def _english_afterwards() -> Iterator[None]:
    yield
    words.speak(gettext.NullTranslations())


def speak(**said: str) -> None:
    words.speak(Catalogue({message.replace("_", " "): text for message, text in said.items()}))


def test_what_is_in_the_catalogue_is_said_in_its_language_and_the_rest_in_english() -> None:
    speak(Quit="Beenden")

    assert words.translate("Quit") == "Beenden"
    assert words.translate("Rename…") == "Rename…"


def test_holes_may_stand_in_another_order() -> None:
    words.speak(Catalogue({"{a} of {b}": "von {b} {a}"}))

    assert words.translate("{a} of {b}").format(a=1, b=2) == "von 2 1"


@pytest.mark.parametrize(
    "broken",
    [
        "von {b}",
        "{a} von {c}",
        "{a} von {b} {c}",
        "{a} von {b:d}",
        "{a} von {b!r}",
        "{a} von {b[0]}",
        "{a} {b",
        "}",
        "{}",
    ],
)
def test_a_translation_that_does_not_keep_the_holes_is_not_used(broken: str) -> None:
    words.speak(Catalogue({"{a} of {b}": broken}))

    assert words.translate("{a} of {b}").format(a="x", b="y") == "x of y"


@pytest.mark.parametrize(
    ("count", "said", "heard"),
    [
        (1, "Ein Konto in {place}", "Ein Konto in x"),
        (1, "{count} Konto in {place}", "1 Konto in x"),
        (1, "Ein Konto", "1 account in x"),
        (1, "{number} Konto in {place}", "1 account in x"),
        (2, "{count} Konten in {place}", "2 Konten in x"),
        (2, "Konten in {", "2 accounts in x"),
    ],
)
def test_of_one_thing_the_number_may_go_without_saying(count: int, said: str, heard: str) -> None:
    english = ("{count} account in {place}", "{count} accounts in {place}")
    words.speak(Catalogue({english[count != 1]: said}))

    assert words.ngettext(*english, count).format(count=count, place="x") == heard


def test_a_table_is_translated_when_it_is_read() -> None:
    table = words.Table({1: words.N_("ready"), 2: words.N_("resting")})
    speak(ready="bereit")

    assert dict(table) == {1: "bereit", 2: "resting"}
    assert (table[1], table.get(3, "none"), len(table)) == ("bereit", "none", 2)
    assert json.dumps(dict(table)) == '{"1": "bereit", "2": "resting"}'
