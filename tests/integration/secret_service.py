"""A real gnome-keyring on a session bus of its own, for the tests of the Linux keychain.

The bus gets an empty activation directory: with the system's own, asking for a keychain would start one, and a test
of a missing keychain could not exist. Everything lives below one folder and ends with the `with` block.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from jeepney import DBusAddress, MatchRule, message_bus, new_method_call
from jeepney.io.blocking import DBusConnection, Proxy, open_dbus_connection

from core.errors import VaultAbsent, VaultLocked, VaultTimeout

PASSWORD = "correct horse"
READY_WITHIN_S = 20.0
_SECRETS = "org.freedesktop.secrets"
_BUS_CONFIG = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <servicedir>{services}</servicedir>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>
"""


@dataclass
class Desktop:
    """A session bus, and the keychain that may run on it."""

    root: Path
    bus: "subprocess.Popen[str]"
    daemon: "subprocess.Popen[str] | None" = field(default=None)

    @property
    def environment(self) -> dict[str, str]:
        """What a program of this session sees."""
        private = {
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.root / 'bus'}",
            "HOME": str(self.root / "home"),
            "XDG_RUNTIME_DIR": str(self.root / "run"),
            "XDG_DATA_HOME": str(self.root / "data"),
            "XDG_CACHE_HOME": str(self.root / "cache"),
            "XDG_CONFIG_HOME": str(self.root / "config"),
        }
        display = {"DISPLAY", "WAYLAND_DISPLAY", "GNOME_KEYRING_CONTROL"}
        return {name: value for name, value in os.environ.items() if name not in display} | private

    def start_keychain(self, *, unlocked: bool) -> None:
        """Start the daemon and wait until it answers. Its keyring file survives `stop_keychain`."""
        assert self.daemon is None
        with closing(self._connect()) as connection:
            owned = MatchRule(
                type="signal", interface="org.freedesktop.DBus", member="NameOwnerChanged", path="/org/freedesktop/DBus"
            )
            owned.add_arg_condition(0, _SECRETS)
            Proxy(message_bus, connection).AddMatch(owned)
            with connection.filter(owned) as signals:
                self.daemon = self._spawn_daemon(unlocked=unlocked)
                connection.recv_until_filtered(signals, timeout=READY_WITHIN_S)
            if unlocked:  # reading the password and opening the keyring may come after the name
                _wait_unlocked(connection)

    def stop_keychain(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the daemon; also one that was stopped by a signal."""
        if self.daemon is None:
            return
        self.daemon.send_signal(how)
        self.daemon.send_signal(signal.SIGCONT)
        self.daemon.wait(READY_WITHIN_S)
        if self.daemon.stdin:
            self.daemon.stdin.close()
        self.daemon = None

    def wipe_keychain(self) -> None:
        """Forget the keyring file, so that the next daemon begins with an empty one."""
        shutil.rmtree(self.root / "data" / "keyrings", ignore_errors=True)

    def pause_keychain(self) -> None:
        """Make it hang: it holds its bus name and answers nothing."""
        assert self.daemon
        self.daemon.send_signal(signal.SIGSTOP)

    def resume_keychain(self) -> None:
        """Let it answer again."""
        assert self.daemon
        self.daemon.send_signal(signal.SIGCONT)

    def _connect(self) -> DBusConnection:
        return open_dbus_connection(self.environment["DBUS_SESSION_BUS_ADDRESS"])

    def _spawn_daemon(self, *, unlocked: bool) -> "subprocess.Popen[str]":
        command = ["gnome-keyring-daemon", "--foreground", "--components=secrets"]
        daemon = subprocess.Popen(
            [*command, "--unlock"] if unlocked else command,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if unlocked:
            assert daemon.stdin
            daemon.stdin.write(PASSWORD)
            daemon.stdin.close()
        return daemon


TROUBLES = {"stopped": VaultTimeout, "killed": VaultAbsent, "locked": VaultLocked, "absent": VaultAbsent}
"""What may befall a keychain, and what the vault says then."""


def befall(session: Desktop, trouble: str) -> None:
    """Let something happen to a keychain that is there and open."""
    match trouble:
        case "stopped":
            session.pause_keychain()
        case "killed":
            session.stop_keychain(signal.SIGKILL)
        case "locked":
            session.stop_keychain()
            session.start_keychain(unlocked=False)
        case "absent":
            session.stop_keychain()


def recover(session: Desktop, trouble: str) -> None:
    """Undo it."""
    match trouble:
        case "stopped":
            session.resume_keychain()
        case "locked":
            session.stop_keychain()
            session.start_keychain(unlocked=True)
        case "killed" | "absent":
            session.start_keychain(unlocked=True)


@contextmanager
def desktop(root: Path) -> Iterator[Desktop]:
    """A session bus without a keychain. `root` must be short: a socket's path has about 100 characters."""
    for program in ("dbus-daemon", "gnome-keyring-daemon"):
        if shutil.which(program) is None:
            pytest.fail(f"{program} is missing: the keychain tests need the packages dbus and gnome-keyring")
    for folder in ("home", "run", "data", "cache", "config", "services"):
        (root / folder).mkdir(mode=0o700)
    config = root / "bus.conf"
    config.write_text(_BUS_CONFIG.format(socket=root / "bus", services=root / "services"))
    bus = subprocess.Popen(
        ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address=1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    session = Desktop(root, bus)
    try:
        assert bus.stdout
        assert bus.stdout.readline()  # the address, once it listens; end of file when it could not start
        yield session
    finally:
        session.stop_keychain()
        bus.terminate()
        bus.wait(READY_WITHIN_S)
        if bus.stdout:
            bus.stdout.close()


def _wait_unlocked(connection: DBusConnection) -> None:
    """Block until the default collection is there; `--unlock` makes it and then tells about it."""
    service = DBusAddress("/org/freedesktop/secrets", _SECRETS, "org.freedesktop.Secret.Service")
    created = MatchRule(type="signal", interface="org.freedesktop.Secret.Service")
    Proxy(message_bus, connection).AddMatch(created)
    with connection.filter(created, bufsize=20) as signals:
        while True:
            (path,) = connection.send_and_get_reply(new_method_call(service, "ReadAlias", "s", ("default",))).body
            if path != "/":
                return
            connection.recv_until_filtered(signals, timeout=READY_WITHIN_S)
