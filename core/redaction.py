"""What must not be read by others is taken out of a text: credentials, e-mail addresses, the person's folder. Pure.

A second net: nothing of the kind is written in the first place, and a library's warning or a provider's sentence may
hold it all the same.
"""

import re
from collections.abc import Mapping

HIDDEN = "[hidden]"
_SECRET = re.compile(
    r"\b(?:sk|tg)-[A-Za-z0-9_-]{8,}"  # keys and logins of Anthropic and OpenCode, our local keys
    r"|\bac_[A-Za-z0-9_-]{8,}"  # codes of a sign-in
    r"|\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)*"  # what begins a JSON Web Token
    r"|(?<=Bearer )[^\s\"']+"
    r"|(?<=[?&]code=)[^\s&\"']+",
    re.IGNORECASE,
)
# Possessive, and begun only where a run begins: each character is looked at once, however long a word is.
_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]++@[\w-]++(?:\.[\w-]++)+")
_LONG = re.compile(r"(?<![A-Za-z0-9_+/=-])[A-Za-z0-9_+/=-]{32,}+")
"""Nothing that a person wrote is so long and has digits in it: ids, digests, secrets of a shape we do not know."""


def without_secrets(text: str) -> str:
    """The text without anything that looks like a credential."""
    return _SECRET.sub(HIDDEN, text)


def for_others(text: str, names: Mapping[str, str]) -> str:
    """The text for a stranger's eyes: also without e-mail addresses and long ids, and with `names` replaced."""
    for name in sorted(names, key=len, reverse=True):  # the longest first: one may be part of another
        if name:
            said = names[name].replace("\\", "\\\\")  # no group reference
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", said, text)
    return _LONG.sub(_without_long, _EMAIL.sub(HIDDEN, without_secrets(text)))


def _without_long(found: re.Match[str]) -> str:
    return HIDDEN if any(map(str.isdigit, found[0])) else found[0]
