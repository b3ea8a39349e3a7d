"""What the person is told at the first start: other programs have accounts that could be taken over."""

import logging
from collections.abc import Callable

from core.import_glance import Glance, glance, here
from core.import_read import Where
from core.naming import listed

log = logging.getLogger(__name__)


def offer(now: float, look: Callable[[Where, float], Glance] = glance) -> str:
    """One sentence about what could be imported; empty when there is nothing. Reads a few files, asks nobody."""
    try:
        return sentence(look(here(), now))
    except Exception:  # the edge: whatever lies in those files must not keep the person from starting
        log.exception("what other programs have could not be seen")
        return ""


def sentence(found: Glance) -> str:
    """`Found 2 accounts of Claude Code and OpenCode: tidegate import takes them over`; empty for nothing."""
    if not found.accounts:
        return ""
    one = found.accounts == 1
    what = "an account" if one else f"{found.accounts} accounts"
    return f"Found {what} of {listed(found.programs)}: `tidegate import` takes {'it' if one else 'them'} over"
