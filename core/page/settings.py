"""The view of the settings that a page may change. Pure."""

from collections.abc import Callable, Mapping
from html import escape

from core.page.parts import attributes, inside
from core.settings import DESCRIPTIONS, LOG_LEVELS
from core.wording import STRATEGY_WORDS

_GROUPS: Mapping[str, Mapping[str, str]] = {
    "Choosing an account": {
        "strategy": "Strategy",
        "failover": "Failover",
        "hold_s": "Longest wait, in seconds",
    },
    "Notifications": {"notifications": "Notifications", "quiet_hours": "Quiet hours"},
    "Tray icon": {"icon.colours": "Coloured icon", "icon.number": "Percent on the icon"},
    "Log": {"log": "Log level"},
}
ON_THE_PAGE = frozenset(key for group in _GROUPS.values() for key in group)
"""Not port, endpoints and passthrough: no page may send credentials elsewhere or let strangers in."""
_CHOICES: Mapping[str, Callable[[], Mapping[str, str]]] = {
    "strategy": lambda: {name.value: f"{name}: {words}" for name, words in STRATEGY_WORDS.items()},
    "log": lambda: {level: level for level in LOG_LEVELS},
}
_SWITCHES = frozenset({"failover", "notifications", "icon.colours", "icon.number"})


def view(texts: Mapping[str, str]) -> str:
    """Each setting with what it is for. `texts`: their values by name, as `config get` tells them."""
    return "".join(
        f'<section class="card" aria-labelledby="settings-{place}"><h2 id="settings-{place}">{escape(title)}</h2>'
        f"{''.join(_setting(key, label, texts[key]) for key, label in group.items())}</section>"
        for place, (title, group) in enumerate(_GROUPS.items())
    )


def _setting(key: str, label: str, text: str) -> str:
    """The field, its sentence, and room for why a value was not taken. A script orders `config_set` for it."""
    id_ = f"setting-{key.replace('.', '-')}"
    field = {"id": id_, "data-setting": key, "aria-describedby": f"{id_}-about {id_}-error"}
    named = f'<label for="{id_}">{escape(label)}</label>'
    about = f'<p class="soft" id="{id_}-about">{escape(DESCRIPTIONS[key])}</p>'
    error = f'<p class="error" id="{id_}-error" role="alert" data-drawn></p>'
    if key in _SWITCHES:
        drawn = f'<input type="checkbox" {attributes(field)}{" checked" if text == "on" else ""}>'
        return f'<div class="setting switch">{drawn}{named}{about}{error}</div>'
    if key in _CHOICES:
        drawn = f"<select {attributes(field)}>{inside(_CHOICES[key](), text)}</select>"
    else:
        typed = attributes(field | {"value": text, "autocomplete": "off", "spellcheck": "false"})
        drawn = f"<input {typed}>"
    return f'<div class="setting">{named}{drawn}{about}{error}</div>'
