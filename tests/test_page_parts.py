import re

from core.model import Move
from core.page import parts
from core.wording import clock_time
from tests.markup import EVIL, checked

NOW = 1_000_000.0


def test_a_moment_is_said_shortly_and_known_exactly() -> None:
    text = parts.moment(NOW - 60, NOW)

    assert f">{clock_time(NOW - 60, NOW)}</time>" in text
    assert re.search(r'datetime="1970-01-1\dT\d\d:45:40[+-]\d\d:\d\d"', text)


def test_a_move_tells_who_took_over_why_and_until_when() -> None:
    text = parts.move(Move(NOW - 60, "Work", "Home & Co", "5 h window full", NOW + 60), NOW)

    checked(text)
    assert f"Work to Home &amp; Co: 5 h window full until {clock_time(NOW + 60, NOW)}" in text
    assert "until" not in parts.move(Move(NOW, "Work", "Home", "login rejected"), NOW)


def test_a_choice_has_its_label_and_what_is_chosen() -> None:
    tags = checked(parts.chosen("id", "name", "Label", {"": "All", EVIL: "evil"}, EVIL))

    assert tags.all("label") == [{"for": "id"}]
    assert tags.all("select") == [{"id": "id", "name": "name"}]
    assert tags.all("option") == [{"value": ""}, {"value": EVIL, "selected": None}]


def test_a_table_names_its_rows_and_columns_and_can_be_scrolled_with_the_keyboard() -> None:
    text = parts.table("What & why", ("From", EVIL), [("10:00", "1 %"), ("11:00", EVIL)])

    tags = checked(text)
    assert "<script" not in text
    assert [cell["scope"] for cell in tags.all("th")] == ["col", "col", "row", "row"]
    assert tags.all("div")[0]["tabindex"] == "0"
    assert "<caption" in text
