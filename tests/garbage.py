"""What only the garbage collector can free."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def no_collection() -> Iterator[None]:
    """Cycles stay where they are, and there are none from before."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def in_cycles() -> list[str]:
    """What of Tidegate's own only the collector can free; frees it."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return sorted({name for thing in gc.garbage if (name := _name(thing))})
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.collect()


def _name(thing: object) -> str:
    """Its class or its function; empty when it is not Tidegate's."""
    if isinstance(thing, FrameType):
        module, name = thing.f_globals.get("__name__", ""), thing.f_code.co_qualname
    else:
        module, name = type(thing).__module__, type(thing).__qualname__
    return f"{module}.{name}" if module.startswith("core.") and not module.startswith("core.simulator") else ""
