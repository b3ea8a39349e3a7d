"""HTML of the status page, taken apart and held to what all of it must keep."""

from html.parser import HTMLParser

EVIL = '<script>alert("1")</script>\'&'
"""A text that must not become markup."""


class Tags(HTMLParser):
    """The tags of a text, in order."""

    VOID = frozenset({"meta", "link", "img", "input", "rect"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: set[str] = set()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes |= {name for name, _ in attrs}
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, name: str) -> list[dict[str, str | None]]:
        """The attributes of every tag of this name."""
        return [attributes for tag, attributes in self.seen if tag == name]


def checked(text: str) -> Tags:
    """Its tags, when each that is opened is closed, ids are unique, and nothing carries code or style."""
    tags = Tags()
    tags.feed(text)
    assert not tags.open
    assert "style" not in tags.attributes
    assert not any(name.startswith("on") for name in tags.attributes)
    ids = [attributes["id"] for _, attributes in tags.seen if "id" in attributes]
    assert len(ids) == len(set(ids))
    return tags
