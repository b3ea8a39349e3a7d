"""One TCP connection to a name that may have several addresses (RFC 8305, "happy eyeballs").

asyncio has this too, but its race loses a socket when it is cancelled in the moment somebody wins it (seen with 3.11:
some of 2,000 cancelled connects stayed open until a garbage collection). Here nothing is left behind.
"""

import asyncio
import socket
from itertools import zip_longest
from typing import Any

_Address = tuple[socket.AddressFamily, Any]
_NEXT_AFTER_S = 0.25
"""When the next address is tried beside the ones before: RFC 8305, section 5."""


async def dial(host: str, port: int) -> socket.socket:
    """Connect to the address that answers first. Raises OSError."""
    left = iter(await _addresses(host, port))
    racing: set[asyncio.Task[socket.socket]] = set()
    failure: BaseException = OSError(f"{host} has no address")
    try:
        while True:
            address = next(left, None)
            if address is not None:
                racing.add(asyncio.create_task(_connect(*address)))
            elif not racing:
                raise failure
            timeout_s = None if address is None else _NEXT_AFTER_S
            done, racing = await asyncio.wait(racing, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if error is None:
                    racing |= done - {task}
                    return task.result()
                failure = error
    finally:
        for task in racing:
            task.cancel()
            task.add_done_callback(_close)


async def _addresses(host: str, port: int) -> list[_Address]:
    """What the name resolves to, the two families in turn. An address in digits needs no thread."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [(family, address) for family, _, _, _, address in found]
    preferred = addresses[0][0]
    ones = [address for address in addresses if address[0] == preferred]
    others = [address for address in addresses if address[0] != preferred]
    return [address for pair in zip_longest(ones, others) for address in pair if address]


async def _connect(family: socket.AddressFamily, address: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


def _close(task: asyncio.Task[socket.socket]) -> None:
    """Close what a loser of the race won after all."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()
