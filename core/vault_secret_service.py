"""The Linux keychain: gnome-keyring, KWallet or any other Secret Service on the session bus.

Spoken through SecretStorage, which `keyring` also uses. keyring's own class returns the first of several items with
the same attributes (a restored or copied keychain has them) and leaves a bus connection open each time the keychain
is locked.
"""

import contextlib
from collections.abc import Iterator

import secretstorage
from jeepney import DBusErrorResponse  # type: ignore[import-untyped]  # ships no types
from secretstorage.exceptions import (
    LockedException,
    PromptDismissedException,
    SecretServiceNotAvailableException,
)

from core.errors import VaultAbsent, VaultError, VaultLocked, VaultTimeout

_APPLICATION = "tidegate"
_NOBODY_THERE = tuple(
    f"org.freedesktop.DBus.Error.{name}" for name in ("Spawn.", "Disconnected", "NameHasNoOwner", "NoServer")
)


class SecretService:
    """A vault back end over the default collection. A bus connection lives for one call."""

    def __init__(self, install_id: str) -> None:
        self._prefix = f"tidegate-{install_id}-"

    def get(self, key: str) -> tuple[str, ...]:
        """Every item with this key in the default collection."""
        with _collection() as collection:
            items = collection.search_items(self._attributes(key))
            # A foreign item may hold any bytes; it must not keep us from reading ours.
            return tuple(item.get_secret().decode(errors="replace") for item in items)

    def set(self, key: str, secret: str) -> None:
        """Replace the item, or make it."""
        attributes = {**self._attributes(key), "application": _APPLICATION}
        with _collection() as collection:
            collection.create_item(f"Tidegate: {key}", attributes, secret.encode(), replace=True)

    def delete(self, key: str) -> None:
        """Remove every item with this key."""
        with _collection() as collection:
            for item in collection.search_items(self._attributes(key)):
                item.delete()

    def _attributes(self, key: str) -> dict[str, str]:
        return {"service": self._prefix + key, "username": _APPLICATION}


@contextlib.contextmanager
def _collection() -> Iterator[secretstorage.Collection]:
    """The default collection, unlocked. May wait for the person to type a password, for ever."""
    with _translated(), contextlib.closing(secretstorage.dbus_init()) as bus:
        collection = secretstorage.get_default_collection(bus)
        if collection.is_locked():
            collection.unlock()
            collection.ensure_not_locked()  # the person may have dismissed the prompt
        yield collection


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Foreign exceptions become ours. Their texts stay out: they are D-Bus jargon."""
    try:
        yield
    except (LockedException, PromptDismissedException) as exc:
        raise _locked() from exc
    except TimeoutError as exc:
        raise VaultTimeout("The session bus did not answer") from exc
    except (SecretServiceNotAvailableException, OSError) as exc:
        raise _absent() from exc
    except DBusErrorResponse as exc:
        raise _from_bus(exc) from exc
    except Exception as exc:  # SecretStorage asserts and unpacks what the service answers
        raise VaultError(f"The keychain answered in a way Tidegate does not know ({type(exc).__name__})") from exc


def _from_bus(exc: DBusErrorResponse) -> VaultError:
    if exc.name == "org.freedesktop.Secret.Error.IsLocked":
        return _locked()
    if exc.name.startswith(_NOBODY_THERE):
        return _absent()
    return VaultError(f"The keychain failed ({exc.name})")


def _locked() -> VaultLocked:
    return VaultLocked("The keychain is locked", "Unlock it, for example by logging in to the desktop, then try again.")


def _absent() -> VaultAbsent:
    return VaultAbsent(
        "No keychain answers on this machine",
        "Start a Secret Service such as gnome-keyring or KWallet, or use `--vault file`.",
    )
