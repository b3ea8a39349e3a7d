"""The Linux keychain: gnome-keyring, KWallet or any other Secret Service on the session bus.

Spoken through SecretStorage, which `keyring` also uses. keyring's own class returns the first of several items with
the same attributes (a restored or copied keychain has them) and leaves a bus connection open each time the keychain
is locked.

gnome-keyring aborts now and then when a connection's first message reads a property or opens a session: its record of
the client may not be there yet (Debian 1147303; gnome-keyring 42 and 50). Each abort locks the keychain. So one
connection is kept, and its first message is one that no record is needed for.
"""

import contextlib
import logging
import weakref
from collections.abc import Callable, Iterator
from typing import TypeVar

import secretstorage
from jeepney import DBusAddress, DBusErrorResponse, new_method_call  # type: ignore[import-untyped]  # ships no types
from secretstorage.exceptions import (
    LockedException,
    PromptDismissedException,
    SecretServiceNotAvailableException,
)
from secretstorage.util import open_session

from core.errors import VaultAbsent, VaultError, VaultLocked, VaultTimeout

T = TypeVar("T")

log = logging.getLogger(__name__)

_APPLICATION = "tidegate"
_SERVICE = DBusAddress("/org/freedesktop/secrets", "org.freedesktop.secrets", "org.freedesktop.DBus.Peer")
_NOBODY_THERE = tuple(
    f"org.freedesktop.DBus.Error.{name}" for name in ("Spawn.", "Disconnected", "NameHasNoOwner", "NoServer")
)


class SecretService:
    """A vault back end over the default collection. Its connection to the bus lives as long as it does."""

    def __init__(self, install_id: str) -> None:
        self._prefix = f"tidegate-{install_id}-"
        self._collection: secretstorage.Collection | None = None
        self._hang_up: Callable[[], object] = lambda: None

    def get(self, key: str) -> tuple[str, ...]:
        """Every item with this key in the default collection."""

        def found(collection: secretstorage.Collection) -> tuple[str, ...]:
            items = collection.search_items(self._attributes(key))
            # A foreign item may hold any bytes; it must not keep us from reading ours.
            return tuple(item.get_secret().decode(errors="replace") for item in items)

        return self._do(found)

    def set(self, key: str, secret: str) -> None:
        """Replace the item, or make it."""
        attributes = {**self._attributes(key), "application": _APPLICATION}
        label = f"Tidegate: {key}"
        self._do(lambda collection: collection.create_item(label, attributes, secret.encode(), replace=True))

    def delete(self, key: str) -> None:
        """Remove every item with this key."""

        def delete(collection: secretstorage.Collection) -> None:
            for item in collection.search_items(self._attributes(key)):
                item.delete()

        self._do(delete)

    def _attributes(self, key: str) -> dict[str, str]:
        return {"service": self._prefix + key, "username": _APPLICATION}

    def _do(self, act: Callable[[secretstorage.Collection], T]) -> T:
        """Something that may be done twice, with the unlocked collection."""
        if self._collection is not None:
            try:
                return self._with(self._collection, act)
            except VaultLocked:
                raise
            except VaultError as exc:  # bus or keychain were started anew, or the keychain is gone
                log.info("the keychain is asked again on a new connection: %s", exc.title)
        with _translated():
            self._collection = self._connect()
        return self._with(self._collection, act)

    def _with(self, collection: secretstorage.Collection, act: Callable[[secretstorage.Collection], T]) -> T:
        """May wait for the person to type a password, for ever."""
        try:
            with _translated():
                if collection.is_locked():
                    collection.unlock()
                    collection.ensure_not_locked()  # the person may have dismissed the prompt
                return act(collection)
        except VaultLocked:
            raise
        except BaseException:
            self._collection = None
            self._hang_up()
            raise

    def _connect(self) -> secretstorage.Collection:
        bus = secretstorage.dbus_init()
        self._hang_up = weakref.finalize(self, bus.close)
        try:
            bus.send_and_get_reply(new_method_call(_SERVICE, "Ping"))
            session = open_session(bus)  # for all that is asked: by itself each item would open one
            collection = secretstorage.get_default_collection(bus, session)
            collection.session = session
        except BaseException:
            self._hang_up()
            raise
        return collection


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
