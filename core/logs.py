"""The log: one line a fact, with the account's label, never with a credential, a prompt or an answer."""

import logging
import logging.handlers
import os
import sys

from core.files import OWNER_ONLY, Paths

LOG_BYTES = 2 * 1024 * 1024
LOGS_KEPT = 3
FORMAT = "%(asctime)s %(levelname)-7s %(message)s"


class _PrivateRotation(logging.handlers.RotatingFileHandler):
    """Rotates; every file is its owner's only, whatever the umask. A full disk is told once, on standard error."""

    _told = False

    def _open(self):  # type: ignore[no-untyped-def] # noqa: ANN202 - the signature is the library's
        os.close(os.open(self.baseFilename, os.O_CREAT | os.O_APPEND | os.O_WRONLY, OWNER_ONLY))
        return super()._open()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Do without the line: the library would print a traceback for each one while the disk is full."""
        exc = sys.exc_info()[1]
        if not isinstance(exc, OSError):
            super().handleError(record)
        elif not self._told:
            self._told = True
            sys.stderr.write(f"The log {self.baseFilename} cannot be written: {exc.strerror or exc}\n")


def start_logging(paths: Paths, level: str, *, to_terminal: bool) -> None:
    """Log to the installation's file, and to stderr as well when somebody sits there."""
    paths.create()
    handlers: list[logging.Handler] = [
        _PrivateRotation(paths.log, maxBytes=LOG_BYTES, backupCount=LOGS_KEPT, encoding="utf-8")
    ]
    if to_terminal:
        handlers.append(logging.StreamHandler(sys.stderr))
    # Libraries log headers and bodies when they are asked for details; only their warnings are let in.
    logging.basicConfig(level=logging.WARNING, format=FORMAT, handlers=handlers, force=True)
    for ours in ("core", "tray"):
        logging.getLogger(ours).setLevel(level.upper())
