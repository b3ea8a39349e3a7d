"""A session bus of its own for a test, which starts nothing by itself but what it is told."""

import os
import select
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

START_S = 20.0
END_S = 5.0

# An empty folder of services matters: the machine's own would start a notification daemon or a keyring on demand,
# and what happens when there is none could not be shown.
CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <auth>EXTERNAL</auth>
  <servicedir>{services}</servicedir>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


@contextmanager
def private_bus(
    folder: Path, services: Mapping[str, str] | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """The address of a running bus. `services`: what it may start, as name and program."""
    service_folder = folder / "services"
    service_folder.mkdir()
    for name, program in (services or {}).items():
        (service_folder / f"{name}.service").write_text(f"[D-BUS Service]\nName={name}\nExec={program}\n")
    config = folder / "bus.conf"
    config.write_text(CONFIG.format(services=service_folder))
    readable, writable = os.pipe()
    # By hand, and not with dbus-run-session, which leaves the daemon behind when it is killed.
    command = ["dbus-daemon", f"--config-file={config}", "--nofork", f"--print-address={writable}"]
    daemon = subprocess.Popen(command, env=environment, pass_fds=(writable,), stderr=subprocess.DEVNULL)
    os.close(writable)
    try:
        yield first_line(readable, "dbus-daemon")
    finally:
        daemon.terminate()
        daemon.wait(END_S)


def first_line(readable: int, program: str) -> str:
    """What a program writes into the pipe when it is ready."""
    line = b""
    with os.fdopen(readable, "rb", buffering=0) as pipe:
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([pipe], [], [], START_S)
            assert ready, f"{program} did not start within {START_S} s"
            byte = pipe.read(1)
            assert byte, f"{program} ended before it was ready"
            line += byte
    return line.decode().strip()
