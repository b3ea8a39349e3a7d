"""Which catalogue is read."""

import gettext
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog

from core import languages, words
from tests.catalogue import compiled


@pytest.fixture(autouse=True)
def _english_afterwards() -> Iterator[None]:
    yield
    words.speak(gettext.NullTranslations())


def put(folder: Path, language: str, **said: str) -> Path:
    catalogue = Catalog(locale=language)
    for message, text in said.items():
        catalogue.add(message, text)
    path = folder / language / "LC_MESSAGES" / "tidegate.mo"
    path.parent.mkdir(parents=True)
    path.write_bytes(compiled(catalogue))
    return path


@pytest.mark.parametrize(
    ("environ", "heard"),
    [
        ({"LANG": "de_DE.UTF-8"}, "Fertig"),
        ({"LANG": "de_AT.UTF-8", "LC_ALL": "fr_FR.UTF-8"}, "Fini"),
        ({"LANG": "de_DE.UTF-8", "LANGUAGE": "it:fr:de"}, "Fini"),
        ({"LANG": "de_DE.UTF-8", "LANGUAGE": "en_GB:de"}, "Done"),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "C.UTF-8"}, "Done"),
        ({"LANG": "it_IT.UTF-8"}, "Done"),
        ({"LANG": "", "LC_ALL": ""}, "Done"),
        ({}, "Done"),
    ],
)
def test_the_first_language_of_the_person_that_is_there_is_spoken(
    tmp_path: Path, environ: dict[str, str], heard: str
) -> None:
    put(tmp_path, "de", Done="Fertig")
    put(tmp_path, "fr", Done="Fini")

    languages.speak(tmp_path, environ)

    assert words.translate("Done") == heard


@pytest.mark.parametrize("broken", [b"", b"nonsense that is long enough to have a head", b"\xde\x12\x04\x95"])
def test_a_catalogue_that_cannot_be_read_leaves_english_and_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, broken: bytes
) -> None:
    put(tmp_path, "de", Done="Fertig").write_bytes(broken)

    languages.speak(tmp_path, {"LANG": "de_DE.UTF-8"})

    assert words.translate("Done") == "Done"
    assert "a translation cannot be read" in caplog.text
