"""The status page: a snapshot as HTML. No script, no inline style, nothing from elsewhere."""

import base64
import hashlib
from html import escape

from core.model import AccountView, Level, Move, Snapshot, WindowView
from core.wording import KIND_NAMES, STANDING_NAMES, clock_time, percent, window_name

REFRESH_S = 5

_STYLE = """
:root{color-scheme:light dark;--ground:#f6f7f9;--card:#fff;--text:#1b1f24;--soft:#5b6570;--line:#dde1e6;
--ok:#1a8a5a;--warn:#b96a00;--spent:#c8322b;--unknown:#8a949e;--active:#0b6bcb}
@media(prefers-color-scheme:dark){:root{--ground:#14171a;--card:#1d2125;--text:#e8eaed;--soft:#9aa4ae;--line:#30363c;
--ok:#41c48a;--warn:#f0a63c;--spent:#f2685f;--unknown:#7c8791;--active:#6ab0f5}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--text);font:15px/1.45 system-ui,sans-serif}
main{max-width:46rem;margin:0 auto;padding:2rem 1rem}
header{display:flex;flex-wrap:wrap;justify-content:space-between;align-items:baseline;gap:.25rem 1rem}
h1{font-size:1.4rem;margin:0}h2{font-size:1rem;margin:2rem 0 .5rem;color:var(--soft)}
h3{font-size:1.05rem;margin:0;overflow-wrap:anywhere}p{margin:.25rem 0}
code{font:.9em ui-monospace,monospace}.soft{color:var(--soft)}
article{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.9rem 1rem;margin:.75rem 0}
article.active{border-color:var(--active);box-shadow:inset .2rem 0 var(--active)}
article>div{display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 1rem}
dl{display:grid;grid-template-columns:max-content 1fr max-content;gap:.3rem .8rem;align-items:center;margin:.6rem 0 0}
dd{margin:0;display:contents}dd span{font-variant-numeric:tabular-nums;text-align:right}
svg{width:100%;height:.5rem;border-radius:.25rem;background:var(--line);display:block}
.ok{fill:var(--ok);color:var(--ok)}.warn{fill:var(--warn);color:var(--warn)}
.spent{fill:var(--spent);color:var(--spent)}.unknown{fill:var(--unknown);color:var(--unknown)}
ul{list-style:none;margin:0;padding:0}li{padding:.35rem 0;border-top:1px solid var(--line)}
"""
_SIGNS = {Level.OK: "●", Level.WARN: "▲", Level.SPENT: "■", Level.UNKNOWN: "○"}
"""A shape for each level, since not everybody sees the colour."""

CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def render(snapshot: Snapshot) -> str:
    """The whole page. It asks for itself again every few seconds."""
    accounts = "".join(_account(view, snapshot.at) for view in snapshot.accounts)
    accounts = accounts or "<p>No account yet. Add one from the tray or with <code>tidegate add</code>.</p>"
    moves = "".join(_move(move, snapshot.at) for move in snapshot.moves)
    return _document(
        f"<header><h1>Tidegate{' demo' if snapshot.demo else ''}</h1>"
        f'<span class="soft"><code>{escape(snapshot.address)}</code> · {escape(snapshot.version)}</span></header>'
        f'<p class="soft">Strategy: {escape(snapshot.strategy)}</p>'
        f"<h2>Accounts</h2>{accounts}"
        f"<h2>Recent moves</h2>{f'<ul>{moves}</ul>' if moves else '<p>None.</p>'}",
        refresh=True,
    )


def message(title: str, hint: str) -> str:
    """A page with one message."""
    return _document(f"<h1>{escape(title)}</h1><p>{escape(hint)}</p>", refresh=False)


def _document(content: str, *, refresh: bool) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Tidegate</title>'
        '<meta name="viewport" content="width=device-width">'
        f"{f'<meta http-equiv=refresh content={REFRESH_S}>' if refresh else ''}"
        f"<style>{_STYLE}</style></head><body><main>{content}</main></body></html>"
    )


def _account(view: AccountView, now: float) -> str:
    state = view.detail or STANDING_NAMES[view.standing]
    if view.until_at is not None:
        state += f" until {clock_time(view.until_at, now)}"
    borrowed = f"borrowed from {view.borrowed_from}" if view.borrowed_from else ""
    facts = [KIND_NAMES[view.kind], view.plan, view.email, borrowed, f"{view.served} served"]
    windows = "".join(_window(window, now) for window in view.windows)
    serving = f"Serves now: {view.reason}" if view.active else ""
    if view.pinned:
        until = f" until {clock_time(view.pinned_until_at, now)}" if view.pinned_until_at is not None else ""
        serving = " · ".join(filter(None, (serving, f"pinned{until}")))
    return (
        f"<article{' class=active' if view.active else ''}><div><h3>{escape(view.label)}</h3>"
        f'<span class="{view.level}">{_SIGNS[view.level]} {escape(state)}</span></div>'
        f'<p class="soft">{escape(" · ".join(filter(None, facts)))}</p>'
        f"{f'<p>{escape(serving)}</p>' if serving else ''}"
        f"{f'<dl>{windows}</dl>' if windows else ''}</article>"
    )


def _window(window: WindowView, now: float) -> str:
    width = 100 * min(1.0, max(0.0, window.utilization or 0.0))
    resets = f", resets {clock_time(window.resets_at, now)}" if window.resets_at is not None else ""
    return (
        f"<dt>{escape(window_name(window))}</dt><dd>"
        '<svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="{window.level}" width="{width:.0f}" height="1"/></svg>'
        f"<span>{percent(window.utilization)}{escape(resets)}</span></dd>"
    )


def _move(move: Move, now: float) -> str:
    until = f", back {clock_time(move.until_at, now)}" if move.until_at is not None else ""
    route = f"{move.source} → {move.target}: {move.text}{until}"
    return f'<li><span class="soft">{clock_time(move.at, now)}</span> {escape(route)}</li>'
