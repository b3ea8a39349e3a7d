"""The catalogue of what Tidegate says: `python -m tests.catalogue` (or `make catalogue`) brings it up to date.

The template is made from the sources, each language's `.po` gets what is new in it, and its `.mo` is made from that.
"""

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from core.languages import DOMAIN, FOLDER

ROOT = Path(__file__).parents[1]
PACKAGES = ("core", "tray")
KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2)}
FOR_TRANSLATORS = "TRANSLATORS:"
_CHANGES_BY_ITSELF = re.compile(rb'^"(?:POT-Creation-Date|Generated-By):.*\n', re.MULTILINE)
"""Header lines that would make two equal catalogues differ."""
_NO_DATE = datetime(1970, 1, 1, tzinfo=UTC)


def template() -> Catalog:
    """Every message in the sources, with the files that say it."""
    catalogue = Catalog(project="Tidegate", copyright_holder="the authors of Tidegate", fuzzy=False)
    catalogue.header_comment = "# What Tidegate says, in English. How to translate it: docs/translating.md.\n#"
    for package in PACKAGES:
        found = extract_from_dir(
            ROOT / package,
            [("**.py", "python")],
            keywords=KEYWORDS,
            comment_tags=(FOR_TRANSLATORS,),
            strip_comment_tags=True,
        )
        for path, _line, message, comments, _context in sorted(found, key=lambda extracted: extracted[:2]):
            catalogue.add(message, locations=[(f"{package}/{path}", 0)], auto_comments=comments)
    return catalogue


def written(catalogue: Catalog) -> bytes:
    """A catalogue as its file: without line numbers and dates, so that it changes when what is said does."""
    file = io.BytesIO()
    write_po(file, catalogue, include_lineno=False, width=120, ignore_obsolete=True)
    return _CHANGES_BY_ITSELF.sub(b"", file.getvalue())


def compiled(catalogue: Catalog) -> bytes:
    """A catalogue as it is read by the program; from the same `.po` the same bytes, whenever."""
    catalogue.creation_date = _NO_DATE
    file = io.BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


def read(path: Path) -> Catalog:
    """A language's catalogue; its folder says which."""
    with path.open("rb") as file:
        return read_po(file, locale=path.parents[1].name)


def languages(folder: Path = FOLDER) -> list[Path]:
    """The `.po` of every language that is there."""
    return sorted(folder.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))


def messages(catalogue: Catalog) -> Iterator[Message]:
    """What is said, without the header."""
    return (message for message in catalogue if message.id)


def renew(folder: Path = FOLDER) -> None:
    """Write the template, and bring every language up to it."""
    now = template()
    folder.mkdir(exist_ok=True)
    (folder / f"{DOMAIN}.pot").write_bytes(written(now))
    for path in languages(folder):
        language = read(path)
        language.update(now, no_fuzzy_matching=True)
        path.write_bytes(written(language))
        path.with_suffix(".mo").write_bytes(compiled(language))


if __name__ == "__main__":
    renew()
