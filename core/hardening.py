"""What keeps the memory of a process that holds credentials from other programs of the same person.

On Linux no debugger attaches to it any more and `/proc/PID/mem` and `environ` are closed, except for root; no system
leaves a dump of it. Nothing is promised beyond that: a program of the same person can still ask the keychain itself.
"""

import contextlib
import ctypes
import logging
import sys

log = logging.getLogger(__name__)

_PR_SET_DUMPABLE = 4


def keep_memory_private() -> None:
    """For the rest of this process's life. Programs that it starts can be debugged, and leave no dump by default."""
    with contextlib.suppress(ImportError):  # Windows has no such limit, and its dumps are the person's choice
        import resource  # noqa: PLC0415

        _, most = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    if sys.platform == "linux":
        arguments = [ctypes.c_ulong(0)] * 4
        if ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, *arguments) != 0:  # some sandboxes forbid the call
            log.info("this process can be read by the person's other programs: prctl is not allowed here")
