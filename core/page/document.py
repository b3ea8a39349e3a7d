"""The status page's document, and pages with one message. Pure."""

import base64
import hashlib
from html import escape

from core.wording import TERMS

_MESSAGE_STYLE = """
:root{color-scheme:light dark}
body{margin:0;font:1rem/1.5 system-ui,sans-serif}
main{max-width:34rem;margin:0 auto;padding:3rem 1.25rem}
h1{font-size:1.4rem;margin:0 0 .5rem}p{margin:0}
"""
_FORGET = 'history.replaceState(null,"",location.pathname)'
"""A code that was used stays neither in the address line nor in the browser's history."""
_NOTHING_ELSE = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def _hash_of(inline: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()}'"


CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; script-src {_hash_of(_FORGET)}; style-src {_hash_of(_MESSAGE_STYLE)}; {_NOTHING_ELSE}"
)
"""For everything but the document: the one style and the one script of `message`."""
DOCUMENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " + _NOTHING_ELSE
)

_KEY_PLACE = "<!-- key -->"
_TERMS_PLACE = "<!-- terms -->"


def document(template: str, key: str = "") -> str:
    """The empty page from its template. `key`: what a page that was just opened by its link proves itself with."""
    meta = f'<meta name="tidegate-key" content="{escape(key)}">' if key else ""
    return template.replace(_TERMS_PLACE, escape(TERMS)).replace(_KEY_PLACE, meta)


def message(title: str, hint: str) -> str:
    """A page with one message. It stands alone: a sign-in shows it from another port."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Tidegate</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_MESSAGE_STYLE}</style>'
        f"<script>{_FORGET}</script></head><body><main><h1>{escape(title)}</h1><p>{escape(hint)}</p></main></body></html>"
    )
