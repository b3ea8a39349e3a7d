"""The language of the person who runs this process, where there is a catalogue for it; else English.

A language is a folder `locale/<language>/LC_MESSAGES` with `tidegate.po`, which people write, and `tidegate.mo`, which
`make catalogue` makes of it. How to add one: docs/translating.md.
"""

import gettext
import logging
import os
import struct
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path

from core import words

log = logging.getLogger(__name__)

DOMAIN = "tidegate"
FOLDER = Path(__file__).parent / "locale"
_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
_SPOKEN_ANYWAY = ("en", "C", "POSIX")


def speak(folder: Path = FOLDER, environ: Mapping[str, str] = os.environ) -> None:
    """Speak the first of the person's languages that is there. A catalogue that cannot be read is left alone."""
    try:
        catalogue = gettext.translation(DOMAIN, folder, wanted(environ), fallback=True)
    except (OSError, ValueError, struct.error) as exc:
        log.warning("a translation cannot be read, so Tidegate speaks English: %s", exc)
        catalogue = gettext.NullTranslations()
    words.speak(catalogue)


def wanted(environ: Mapping[str, str]) -> Sequence[str]:
    """The languages a person reads rather than English, the dearest first, as gettext's variables tell them."""
    told = next((text for name in _VARIABLES if (text := environ.get(name))), "")
    return list(takewhile(lambda language: not _is_english(language), told.split(":")))


def _is_english(language: str) -> bool:
    return language.partition(".")[0].partition("_")[0] in _SPOKEN_ANYWAY
