from core.answers import LogEntry, LogReport
from core.page import log
from tests.markup import EVIL, checked

ENTRIES = (
    LogEntry(1_000_000.0, "INFO", "", "Tidegate is listening"),
    LogEntry(1_000_001.0, "WARNING", "c61f5649", "Work: the provider failed\n  and again"),
)


def test_entries_are_told_with_time_level_request_and_text_the_oldest_first() -> None:
    text = log.view(LogReport(1_000_002.0, ENTRIES))

    tags = checked(text)
    assert len(tags.all("li")) == len(ENTRIES)
    assert text.index("Tidegate is listening") < text.index("Work: the provider failed\n  and again")
    assert ">c61f5649</code>" in text
    assert 'class="level warn">WARNING<' in text
    assert text.count("<code") == 1
    assert [button["data-copy"] for button in tags.all("button")] == ["log-entries"]


def test_the_level_that_was_asked_for_stays_chosen() -> None:
    tags = checked(log.view(LogReport(0.0, ENTRIES), "warning"))

    assert [option["value"] for option in tags.all("option") if "selected" in option] == ["warning"]


def test_an_empty_log_says_so_and_there_is_nothing_to_copy() -> None:
    text = log.view(LogReport(0.0, ()))

    assert "Nothing was logged." in text
    assert not checked(text).all("button")


def test_no_entry_becomes_markup() -> None:
    text = log.view(LogReport(0.0, (LogEntry(0.0, EVIL, EVIL, EVIL),)))

    checked(text)
    assert "<script" not in text
