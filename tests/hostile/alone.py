"""A Tidegate in a process of its own, with room for many connections: `python -m tests.hostile.alone FOLDER URL`.

It says its port and its key, and ends with its standard input.
"""

import asyncio
import resource
import sys
from pathlib import Path

from core.listener import Limits
from tests.hostile.scene import before


def open_files() -> int:
    """As many as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


async def main(folder: str, url: str) -> None:
    open_files()
    async with before(url, Path(folder), limits=Limits(connections=100_000, stall_s=600.0)) as scene:
        print(scene.port, scene.stage.key, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
