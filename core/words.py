"""The language that is spoken: English sentences in, the same in the person's language out. Pure but for that choice.

A process chooses once, before it says anything (`core.languages`). A sentence is looked up whole and its holes are
filled afterwards, `_("Unpin {account}").format(account=…)`, because other languages have another order. A translation
that does not keep the holes of its English is not used: it could lose what matters, or fail when it is filled.
"""

import gettext
from collections.abc import Iterator, Mapping
from functools import cache
from string import Formatter
from typing import TypeVar

_Key = TypeVar("_Key")
_Hole = tuple[str, str, str]
_COUNTING: frozenset[_Hole] = frozenset({("count", "", "")})
_spoken = gettext.NullTranslations()


def speak(catalogue: gettext.NullTranslations) -> None:
    """Speak this language from now on."""
    global _spoken  # noqa: PLW0603 - a process speaks one language
    _spoken = catalogue


def translate(message: str) -> str:
    """The message as it is said, its holes still open. Imported as `_`."""
    said = _spoken.gettext(message)
    return said if said is message or _fits(said, message) else message


def ngettext(one: str, many: str, count: int) -> str:
    """The same, for one thing or for many. A sentence about one may do without the hole for how many."""
    said = _spoken.ngettext(one, many, count)
    return said if _fits(said, many, but=_COUNTING) else one if count == 1 else many


def N_(message: str) -> str:  # noqa: N802 - gettext's usual name, which the extraction knows
    """Name a message for the catalogue where it is not said yet."""
    return message


class Table(Mapping[_Key, str]):
    """Messages by name, marked with `N_`, each translated when it is read."""

    def __init__(self, english: Mapping[_Key, str]) -> None:
        self._english = english

    def __getitem__(self, key: _Key) -> str:
        return translate(self._english[key])

    def __iter__(self) -> Iterator[_Key]:
        return iter(self._english)

    def __len__(self) -> int:
        return len(self._english)


def _fits(said: str, english: str, but: frozenset[_Hole] = frozenset()) -> bool:
    """Whether a translation has the same holes, apart from those that it may have or not."""
    kept, wanted = _holes(said), _holes(english)
    return kept is not None and wanted is not None and kept | but == wanted | but


@cache  # bounded by the catalogue: only messages are asked about
def _holes(template: str) -> frozenset[_Hole] | None:
    """What `format` fills, and how; None when it would fail."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError:
        return None
    return frozenset((name, spec or "", conversion or "") for _, name, spec, conversion in parts if name is not None)
