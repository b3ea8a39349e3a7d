import json
import re
from typing import Any

import pytest
from msgspec.structs import replace

from core.answers import Curve, QuotaReport, Tally, UsageReport, UsedIn, UsedOver
from core.model import AccountId, ModelFamily, Move
from core.page import charts
from core.wording import clock_time
from tests.markup import EVIL, checked

DAY_S = 86_400.0
HOUR_S = 3_600.0
NOW = 20_000 * DAY_S
SINCE = NOW - DAY_S
WORK, HOME = AccountId("a1"), AccountId("b2")
QUOTA = QuotaReport(
    NOW,
    SINCE,
    (
        Curve(WORK, "Work", "5h", None, ((SINCE, 0.2), (NOW - 2.5 * HOUR_S, 0.94), (NOW - 1.5 * HOUR_S, None))),
        Curve(WORK, "Work", "7d", ModelFamily("opus"), ((SINCE, 0.5),)),
        Curve(HOME, "Home", "5h", None, ((NOW - HOUR_S, 0.4),)),
    ),
    (Move(NOW - 2.5 * HOUR_S, "Work", "Home", "5 h window full"),),
)
NOTHING = UsageReport(NOW, SINCE, HOUR_S, Tally(), (), (), ())


def used(*models: str) -> UsageReport:
    """Three hours ago and in the last hour each model used 100 tokens for each place from the end of the list."""
    spans = {
        model: tuple(
            UsedIn(at=at, requests=1, input=10 * rank, output=50 * rank, cache_read=30 * rank, cache_write=10 * rank)
            for at in (NOW - 3 * HOUR_S, NOW - HOUR_S)
        )
        for rank, model in zip(range(len(models), 0, -1), models, strict=True)
    }
    everything = [span for each in spans.values() for span in each]
    total = Tally(
        requests=len(everything),
        input=sum(span.input for span in everything),
        output=sum(span.output for span in everything),
        cache_read=sum(span.cache_read for span in everything),
        cache_write=sum(span.cache_write for span in everything),
    )
    over = tuple(UsedOver(model, each) for model, each in spans.items())
    return UsageReport(NOW, SINCE, HOUR_S, total, (), tuple(next(iter(spans.values()))), over)


def plots(text: str) -> list[Any]:
    """What the scripts draw."""
    return [json.loads(str(place["data-plot"])) for place in checked(text).all("div") if "data-plot" in place]


def tables(text: str) -> list[list[list[str]]]:
    """Every table, by rows and cells."""
    return [
        [re.findall(r"<t[hd][^>]*>([^<]*)<", row) for row in re.findall(r"<tr>.*?</tr>", table)]
        for table in re.findall(r"<table>.*?</table>", text)
    ]


def test_each_window_has_a_chart_with_a_line_for_each_account() -> None:
    text = charts.view(QUOTA, NOTHING, 1)

    assert re.findall(r"<h3>([^<]+)</h3>", text) == ["5 h window", "Opus week window"]
    short, weekly = plots(text)
    assert [(line["label"], line["style"]) for line in short["lines"]] == [("Work", 0), ("Home", 1)]
    assert [(line["label"], line["style"]) for line in weekly["lines"]] == [("Work", 0)], "the same look everywhere"
    assert short["lines"][0]["points"][-2:] == [[NOW - 1.5 * HOUR_S, None], [NOW, None]], "a gap stays a gap"
    assert short["lines"][1]["points"] == [[NOW - HOUR_S, 0.4], [NOW, 0.4]], "what was read last is so until now"
    assert short["marks"] == [NOW - 2.5 * HOUR_S]


def test_a_chart_is_told_in_words_and_as_a_table() -> None:
    text = charts.view(QUOTA, NOTHING, 1)

    said = "Work: now –, at most 94 %. Home: now 40 %, at most 40 %"
    assert text.count(said) == 2, "for eyes, and for who has it read"
    assert f'role="img" aria-label="5 h window. {said}"' in text
    head, *rows = tables(text)[0]
    assert head == ["From", "Work", "Home"]
    assert [row[1:] for row in rows[:4]] == [["–", "40 %"], ["94 %", "–"], ["94 %", "–"], ["20 %", "–"]]
    assert rows[0][0] == clock_time(NOW - HOUR_S, NOW)
    assert len(rows) == 24


@pytest.mark.parametrize(("days", "rows"), [(1, 24), (7, 28), (30, 30)])
def test_the_time_that_was_asked_for_is_chosen_and_its_tables_stay_short(days: int, rows: int) -> None:
    text = charts.view(QUOTA, NOTHING, days)

    chosen = [radio["value"] for radio in checked(text).all("input") if "checked" in radio]
    assert chosen == [str(days)]
    assert len(tables(text)[0]) == rows + 1


def test_failovers_are_listed_with_their_cause_and_many_are_folded() -> None:
    text = charts.view(QUOTA, NOTHING, 1)
    many = charts.view(replace(QUOTA, moves=QUOTA.moves * 20), NOTHING, 1)

    assert "Work to Home: 5 h window full" in text
    assert "more</summary>" not in text
    assert "<summary>12 more</summary>" in many
    assert many.count("Work to Home") == 20


def test_a_line_that_is_reset_again_and_again_is_drawn_by_its_highest() -> None:
    begun = NOW - 30 * DAY_S
    points = tuple((begun + hours * HOUR_S, (0.1, 0.8)[hours % 4 == 3]) for hours in range(0, 720, 1))
    wild = Curve(WORK, "Work", "5h", None, points)
    calm = Curve(HOME, "Home", "7d", None, ((begun, 0.3),))
    text = charts.view(QuotaReport(NOW, begun, (wild, calm), ()), NOTHING, 30)

    short, weekly = plots(text)
    assert short["lines"][0]["points"] == [[begun + day * DAY_S, 0.8] for day in range(31)]
    assert "Work: now 80 %, at most 80 %. The lines show the highest of each day" in text
    assert weekly["lines"][0]["points"] == [[begun, 0.3], [NOW, 0.3]]


def test_without_anything_to_draw_a_sentence_stands_there() -> None:
    text = charts.view(QuotaReport(NOW, SINCE, (), ()), NOTHING, 7)

    assert not plots(text)
    for said in ("No utilization is known of this time.", "None in this time.", "No tokens were used in this time."):
        assert said in text


def test_tokens_are_stacked_by_model_over_every_span() -> None:
    text = charts.view(QUOTA, used("sonnet", "opus"), 1)

    bars, cached = plots(text)[-2:]
    assert len(bars["starts"]) == 25
    assert bars["starts"][-1] == NOW
    assert [[height for height in stack if height] for stack in bars["stacks"]] == [[200, 200], [100, 100]]
    assert bars["stacks"][0].index(200) == bars["starts"].index(NOW - 3 * HOUR_S)
    assert [share for _, share in cached["lines"][0]["points"] if share is not None] == [0.6, 0.6]
    assert "600 tokens of 4 requests" in text
    assert "60 % of all tokens that were read came from prompt caches" in text
    assert [row[1:] for row in tables(text)[-1]] == [
        ["sonnet", "opus", "Read from prompt caches"],
        ["200", "100", "60 %"],
        ["200", "100", "60 %"],
    ]


def test_many_models_are_added_up_beyond_the_first() -> None:
    text = charts.view(QUOTA, used(*(f"m{number}" for number in range(8))), 1)

    head, row, _ = tables(text)[-1]
    assert head[1:-1] == ["m0", "m1", "m2", "m3", "m4", "other models"]
    assert row[6] == str(300 + 200 + 100)
    assert [*tables(charts.view(QUOTA, used(*"abcdef"), 1))[-1][0][1:-1]] == [*"abcdef"], "the last needs no adding up"


def test_every_line_and_bar_has_a_swatch_with_its_name_and_value() -> None:
    tags = checked(charts.view(QUOTA, used("sonnet", "opus"), 1))

    swatches = [canvas["data-swatch"] for canvas in tags.all("canvas")]
    assert swatches == ["line 0", "line 1", "line 0", "bar 0", "bar 1", "line 0"]


def test_no_text_becomes_markup() -> None:
    curve = Curve(WORK, EVIL, EVIL, None, ((SINCE, 0.1),))
    text = charts.view(QuotaReport(NOW, SINCE, (curve,), (Move(NOW, EVIL, EVIL, EVIL),)), used(EVIL), 1)

    checked(text)
    assert "<script" not in text
    assert plots(text)[0]["lines"][0]["label"] == EVIL
