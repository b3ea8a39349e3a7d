"""What systemd's login manager tells of the machine: it is about to sleep, it woke up, it is about to be shut down.

Before a sleep it waits for us, up to five seconds, because we hold a lock that delays it. Where there is no login
manager nothing is told; then the core notices a sleep by its clocks, up to a minute later.
https://www.freedesktop.org/software/systemd/man/latest/org.freedesktop.login1.html
"""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from anyio.from_thread import start_blocking_portal

log = logging.getLogger(__name__)

NAME = "org.freedesktop.login1"
PATH = "/org/freedesktop/login1"
MANAGER = "org.freedesktop.login1.Manager"
_RULE = f"type='signal',sender='{NAME}',path='{PATH}',interface='{MANAGER}'"


@dataclass(frozen=True, slots=True)
class Heeding:
    """What to do. All are called on a thread of the login manager's, one at a time."""

    sleeps: Callable[[], None]
    """The machine waits until it returns."""
    woke: Callable[[], None]
    ends: Callable[[], None]


@contextmanager
def heeded(heeding: Heeding) -> Iterator[None]:
    """Until the block ends. A fault in here is logged and ends the heeding, nothing else."""
    if sys.platform != "linux":
        yield
        return
    with start_blocking_portal("asyncio", name="login-manager") as portal:
        listening = portal.start_task_soon(_listen, heeding)
        try:
            yield
        finally:
            listening.cancel()


async def _listen(heeding: Heeding) -> None:
    from dbus_fast import BusType, Message, MessageType  # noqa: PLC0415 - there is none on other systems

    from tray import bus as buses  # noqa: PLC0415

    signals: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()

    def heard(message: Message) -> None:
        signal = message.message_type is MessageType.SIGNAL and message.interface == MANAGER
        if signal and message.member in {"PrepareForSleep", "PrepareForShutdown"}:
            signals.put_nowait((message.member, bool(message.body[0])))

    async def delaying() -> int | None:
        """The lock; None when we may not have one. Closing it lets the machine go on."""
        body = ["sleep:shutdown", "Tidegate", "Saves what it knows", "delay"]
        inhibit = Message(destination=NAME, path=PATH, interface=MANAGER, member="Inhibit", signature="ssss", body=body)
        try:
            return (await buses.call(bus, inhibit)).unix_fds[0]
        except (*buses.ERRORS, IndexError) as exc:
            log.debug("a sleep will not wait for us: %s", exc)
            return None

    lock: int | None = None
    try:
        async with buses.connected(BusType.SYSTEM, fds=True) as bus:
            bus.add_message_handler(heard)
            await buses.add_match(bus, _RULE)
            lock = await delaying()
            while True:
                told, begins = await signals.get()
                _obey(heeding, told, begins=begins)
                if begins and told == "PrepareForSleep":
                    _release(lock)
                    lock = None
                elif lock is None:
                    lock = await delaying()
    except buses.ERRORS as exc:
        log.info("nobody tells of a sleep beforehand: %s", exc)
    finally:
        _release(lock)


def _obey(heeding: Heeding, told: str, *, begins: bool) -> None:
    """One signal. What fails here must not keep the machine from sleeping."""
    try:
        if told == "PrepareForShutdown":
            if begins:
                log.info("the machine is shut down")
                heeding.ends()
        elif begins:
            log.info("the machine goes to sleep")
            heeding.sleeps()
        else:
            log.info("the machine woke up")
            heeding.woke()
    except Exception:  # the edge of a task
        log.exception("%s could not be heeded", told)


def _release(lock: int | None) -> None:
    if lock is not None:
        with suppress(OSError):
            os.close(lock)
