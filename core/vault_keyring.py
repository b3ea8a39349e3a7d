"""The keychains of macOS and Windows, through `keyring`."""

import contextlib
import sys
from collections.abc import Iterator

from keyring.backend import KeyringBackend
from keyring.errors import InitError, KeyringError, KeyringLocked, NoKeyringError

from core.errors import VaultAbsent, VaultError, VaultLocked

_USER = "tidegate"


class KeyringItems:
    """A vault back end over one keyring object.

    Every item has a service name of its own: with several user names under one service, keyring's Windows back end
    moves the older entry aside in two steps that are not atomic.
    """

    def __init__(self, ring: KeyringBackend, install_id: str) -> None:
        self._ring = ring
        self._prefix = f"tidegate-{install_id}-"

    def get(self, key: str) -> tuple[str, ...]:
        """The item, if it is there."""
        with translated():
            secret = self._ring.get_password(self._prefix + key, _USER)
        return () if secret is None else (secret,)

    def set(self, key: str, secret: str) -> None:
        """Replace the item, or make it."""
        with translated():
            self._ring.set_password(self._prefix + key, _USER, secret)

    def delete(self, key: str) -> None:
        """Remove the item, if it is there."""
        with translated():
            if self._ring.get_password(self._prefix + key, _USER) is not None:
                self._ring.delete_password(self._prefix + key, _USER)


def native_keyring() -> KeyringBackend:
    """The keyring of this platform, by class."""
    if sys.platform == "darwin":
        from keyring.backends.macOS import Keyring  # noqa: PLC0415 - exists on macOS only

        # Without __init__, which does nothing but take orders from KEYRING_PROPERTY_* in the environment.
        ring = Keyring.__new__(Keyring)
        ring.keychain = None  # or KEYCHAIN_PATH
        return ring
    if sys.platform == "win32":
        from keyring.backends.Windows import WinVaultKeyring  # noqa: PLC0415 - exists on Windows only

        return WinVaultKeyring.__new__(WinVaultKeyring)
    raise VaultAbsent(f"keyring has no keychain for {sys.platform}")


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Every error of keyring as one of ours."""
    try:
        yield
    except KeyringLocked as exc:
        raise VaultLocked(
            "The keychain is locked, or Tidegate was not let in",
            "Unlock it and allow Tidegate when it asks, then try again.",
        ) from exc
    except (NoKeyringError, InitError) as exc:
        raise VaultAbsent("No keychain answers on this machine", "Use `--vault file`.") from exc
    except KeyringError as exc:
        raise VaultError(f"The keychain failed: {exc}") from exc
    except Exception as exc:  # the platform's own errors (win32ctypes, ctypes) share no base class
        raise VaultError(f"The keychain failed ({type(exc).__name__})") from exc
