"""Try a built program on the system it was built on: `python -m tests.smoke dist/tidegate/tidegate`.

It says its version, serves on a free port and answers there, and ends when it is asked to. Nothing of the person's is
touched: data in a folder of its own, credentials in a file.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import core

START_S = 60.0
"""A virus scanner looks at each file of a program that has never run."""
END_S = 20.0
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


def version(program: Path) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=START_S, check=True)
    return done.stdout.strip()


@contextmanager
def serving(program: Path, folder: Path) -> Iterator[str]:
    """The address that the program listens on."""
    command = [program, "--data-dir", folder, "--vault", "file", "serve", "--port", "0"]
    environment = {**os.environ, "TIDEGATE_VAULT_KEY": "a passphrase for this try", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        late = threading.Timer(START_S, process.kill)
        late.start()
        try:
            found = (ADDRESS.search(line) for line in process.stdout or ())
            address = next((match[0] for match in found if match), None)
            assert address, f"it ended with {process.wait(END_S)} and named no address"
            late.cancel()
            yield address
        finally:
            late.cancel()
            process.terminate()
            process.wait(END_S)


def health(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{address}/-/health", timeout=START_S) as answer:
        return dict(json.load(answer))


def main() -> None:
    program = Path(sys.argv[1]).absolute()
    said = version(program)
    assert core.__version__ in said, said
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, serving(program, Path(folder)) as address:
        told = health(address)
    assert told["name"] == "tidegate", told
    assert told["version"] == core.__version__, told
    print(f"{said}: serves at {address} and is well")


if __name__ == "__main__":
    main()
