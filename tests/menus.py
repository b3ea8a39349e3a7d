"""What the tests of the menu share: views, snapshots and ways to find rows."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from core.model import AccountId, AccountKind, AccountView, Level, Snapshot, Standing, WindowView
from core.wording import clock_time
from tray.items import Item, Separator, Submenu

NOW = 1_800_000_000.0
AT = NOW + 3_600
CLOCK = clock_time(AT, NOW)
ADDRESS = "http://127.0.0.1:8433"


def window(name: str = "5h", utilization: float | None = 0.62, resets_at: float | None = None) -> WindowView:
    return WindowView(name, utilization, resets_at, Level.OK)


def account(label: str = "Work", kind: AccountKind = AccountKind.CLAUDE, **options: object) -> AccountView:
    view = AccountView(AccountId(f"id-{label}"), label, kind, kind.provider, Standing.READY, Level.OK)
    return replace(view, **options)


def snapshot(*accounts: AccountView, **options: object) -> Snapshot:
    return replace(Snapshot(at=NOW, version="0.1.0", address=ADDRESS, accounts=accounts), **options)


def flat(items: Sequence[Item]) -> list[Item]:
    """Every row, the ones in submenus after the row that leads to them."""
    return [inner for item in items for inner in ((item, *flat(item.items)) if isinstance(item, Submenu) else (item,))]


def inside(items: Sequence[Item], *labels: str) -> Sequence[Item]:
    """The rows of a submenu."""
    for label in labels:
        items = next(item.items for item in items if isinstance(item, Submenu) and item.label == label)
    return items


def labels(items: Sequence[Item]) -> Iterator[str]:
    """What can be read of rows and of what is in them."""
    return (item.label for item in flat(items) if not isinstance(item, Separator))
