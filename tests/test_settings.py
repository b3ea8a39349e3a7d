import re

import pytest

from core import settings
from core.errors import UsageError
from core.model import Endpoints, HealthScore, QuietHours, Settings, Strategy, TokenBucket


def test_changed_settings_are_those_not_at_their_default() -> None:
    assert settings.changed_settings(Settings()) == {}
    assert settings.changed_settings(Settings(port=9000, notifications=False)) == {
        "port": "9000",
        "notifications": "off",
    }


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("port", "9000", 9000),
        ("strategy", "sticky", Strategy.STICKY),
        ("passthrough", "off", False),
        ("notifications", "YES", True),
        ("quiet_hours", "22:00-7:30", QuietHours(22 * 60, 7 * 60 + 30)),
        ("quiet_hours", "off", None),
        ("hold_s", "2.5", 2.5),
        ("log", "DEBUG", "debug"),
    ],
)
def test_a_setting_is_changed_by_name(key: str, text: str, value: object) -> None:
    changed = settings.with_setting(Settings(), key, text)

    assert getattr(changed, key) == value
    assert settings.with_setting(changed, key, settings.setting_texts(changed)[key]) == changed


def test_an_endpoint_is_changed_by_name() -> None:
    changed = settings.with_setting(Settings(), "endpoints.opencode_go_url", "https://go.example.org/v1/")

    assert changed == Settings(endpoints=Endpoints(opencode_go_url="https://go.example.org/v1"))


@pytest.mark.parametrize(
    ("key", "text", "allowed"),
    [
        ("port", "0", "1 to 65535"),
        ("port", "65536", "1 to 65535"),
        ("port", "８４", "1 to 65535"),
        ("strategy", "best", "sticky, round-robin"),
        ("passthrough", "maybe", "on or off"),
        ("quiet_hours", "22-7", "off, or two times"),
        ("quiet_hours", "22:00", "off, or two times"),
        ("quiet_hours", "22:00-24:00", "off, or two times"),
        ("quiet_hours", "22:00-22:00", "off, or two times"),
        ("hold_s", "-1", "from 0 to 300"),
        ("hold_s", "nan", "from 0 to 300"),
        ("log", "loud", "debug, info, warning, error"),
        ("endpoints.anthropic_api_url", "http://example.org", "https://"),
        ("endpoints.anthropic_api_url", "http://127.0.0.1.example.org", "https://"),
        ("endpoints.anthropic_api_url", "ftp://example.org", "https://"),
        ("endpoints.anthropic_api_url", "https://user@example.org", "without user"),
        ("endpoints.anthropic_api_url", "https://example.org/?x=1", "without user"),
        ("endpoints.anthropic_api_url", "https://example.org:99999", "without user"),
        ("endpoints.anthropic_api_url", "https://", "without user"),
        ("endpoints.anthropic_api_url", "https://exa mple.org", "without user"),
        ("endpoints.anthropic_api_url", "https://[", "without user"),
    ],
)
def test_a_bad_value_is_refused_with_what_is_allowed(key: str, text: str, allowed: str) -> None:
    with pytest.raises(UsageError) as caught:
        settings.with_setting(Settings(), key, text)

    assert key in caught.value.title
    assert allowed in caught.value.hint


@pytest.mark.parametrize("key", settings.SETTINGS)
@pytest.mark.parametrize("nonsense", ["", "maybe", "nan", "-", "\x1b[2J"])
def test_every_setting_refuses_nonsense_and_says_what_is_allowed(key: str, nonsense: str) -> None:
    with pytest.raises(UsageError, match=key) as refused:
        settings.with_setting(Settings(), key, nonsense)

    assert refused.value.hint.startswith("It must be ")
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost:1", "[::1]:1"])
def test_plain_http_is_for_this_computer(host: str) -> None:
    changed = settings.with_setting(Settings(), "endpoints.anthropic_api_url", f"http://{host}")

    assert changed.endpoints.anthropic_api_url == f"http://{host}"


def test_an_unknown_setting_is_refused_with_the_names() -> None:
    with pytest.raises(UsageError) as caught:
        settings.with_setting(Settings(), "prot", "1")

    assert "port" in caught.value.hint


def test_the_environment_overrides_and_empty_variables_do_not() -> None:
    environ = {
        "TIDEGATE_PORT": "9000",
        "TIDEGATE_STRATEGY": "round-robin",
        "TIDEGATE_LOG": "debug",
        "TIDEGATE_ANTHROPIC_API_URL": "http://127.0.0.1:1",
        "TIDEGATE_ANTHROPIC_AUTHORIZE_URL": "http://127.0.0.1:2",
        "TIDEGATE_ANTHROPIC_CONSOLE_AUTHORIZE_URL": "http://127.0.0.1:3",
        "TIDEGATE_ANTHROPIC_TOKEN_URL": "http://127.0.0.1:4",
        "TIDEGATE_OPENCODE_GO_URL": "",
        "PATH": "/bin",
    }

    assert settings.effective(Settings(hold_s=3), environ) == Settings(
        port=9000,
        strategy=Strategy.ROUND_ROBIN,
        hold_s=3,
        log="debug",
        endpoints=Endpoints("http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3", "http://127.0.0.1:4"),
    )


@pytest.mark.parametrize("variable", settings.ENVIRONMENT)
def test_a_bad_variable_is_named(variable: str) -> None:
    with pytest.raises(UsageError, match=variable) as caught:
        settings.effective(Settings(), {variable: "no good"})

    assert "must be" in caught.value.hint


# --- the numbers of `hybrid` -----------------------------------------------------------------------


def test_a_number_of_hybrid_is_changed_by_name() -> None:
    changed = settings.with_setting(Settings(), "health_score.initial", "80.5")
    changed = settings.with_setting(changed, "token_bucket.regeneration_rate_per_minute", "12")

    assert changed == Settings(
        health_score=HealthScore(initial=80.5), token_bucket=TokenBucket(regeneration_rate_per_minute=12.0)
    )
    assert settings.setting_texts(changed)["health_score.initial"] == "80.5"


@pytest.mark.parametrize(
    ("key", "least", "most"),
    [
        ("health_score.initial", 0, 100),
        ("health_score.success_reward", 0, 10),
        ("health_score.rate_limit_penalty", -50, 0),
        ("health_score.failure_penalty", -100, 0),
        ("health_score.recovery_rate_per_hour", 0, 20),
        ("health_score.min_usable", 0, 100),
        ("health_score.max_score", 50, 100),
        ("token_bucket.max_tokens", 1, 1000),
        ("token_bucket.regeneration_rate_per_minute", 0.1, 60),
        ("token_bucket.initial_tokens", 1, 1000),
    ],
)
def test_a_number_beyond_what_is_allowed_becomes_the_nearest_and_that_is_said(
    key: str, least: float, most: float
) -> None:
    for typed, taken in (("-1e9", least), ("inf", most), (str(least), least), (str(most), most)):
        changed = settings.with_setting(Settings(), key, typed)

        assert settings.setting_texts(changed)[key] == str(float(taken))
        assert settings.cut_note(key, typed) == ("" if float(typed) == taken else f"the nearest from {least} to {most}")
    for typed in ("lots", "", "nan"):
        with pytest.raises(UsageError, match=key) as caught:
            settings.with_setting(Settings(), key, typed)
        assert f"a number from {least} to {most}" in caught.value.hint


def test_what_is_no_number_of_hybrid_is_never_cut() -> None:
    assert settings.cut_note("port", "9000") == ""
    assert settings.cut_note("strategy", "sticky") == ""


def test_every_setting_has_a_name_a_text_and_reads_back() -> None:
    texts = settings.setting_texts(Settings())

    assert list(texts) == list(settings.SETTINGS)
    assert settings.read_again(Settings()) == Settings()
    for key, text in texts.items():
        assert settings.with_setting(Settings(), key, text) == Settings()
    groups = {key.partition(".")[0] for key in texts}
    assert groups == set(Settings.__struct_fields__)


def test_every_setting_is_described_in_one_sentence() -> None:
    assert list(settings.DESCRIPTIONS) == list(settings.SETTINGS)
    for sentence in settings.DESCRIPTIONS.values():
        assert re.fullmatch(r"[A-Z][^.]+\.", sentence)


def test_settings_of_a_file_are_held_to_the_same_rules() -> None:
    wild = Settings(health_score=HealthScore(initial=1_000.0, failure_penalty=5.0))

    assert settings.read_again(wild).health_score == HealthScore(initial=100.0, failure_penalty=0.0)
    with pytest.raises(ValueError, match="port must be"):
        settings.read_again(Settings(port=0))


# --- variables of another program ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"OPENCODE_ANTHROPIC_STRATEGY": "hybrid"}, Settings(strategy=Strategy.HYBRID)),
        (
            {"OPENCODE_ANTHROPIC_STRATEGY": "hybrid", "TIDEGATE_STRATEGY": "sticky"},
            Settings(strategy=Strategy.STICKY),
        ),
        ({"OPENCODE_ANTHROPIC_QUIET": "1"}, Settings(notifications=False)),
        ({"OPENCODE_ANTHROPIC_QUIET": "True"}, Settings(notifications=False)),
        ({"OPENCODE_ANTHROPIC_QUIET": "0"}, Settings()),
        ({"OPENCODE_ANTHROPIC_DEBUG": "true"}, Settings(log="debug")),
        ({"OPENCODE_ANTHROPIC_DEBUG": "1", "TIDEGATE_LOG": "error"}, Settings(log="error")),
        ({"OPENCODE_ANTHROPIC_DEBUG": "false"}, Settings()),
    ],
)
def test_variables_of_the_plugin_count_where_ours_say_nothing(environ: dict[str, str], expected: Settings) -> None:
    assert settings.effective(Settings(), environ) == expected


@pytest.mark.parametrize("name", ["STRATEGY", "QUIET", "DEBUG"])
def test_a_variable_of_the_plugin_never_keeps_tidegate_from_starting(name: str) -> None:
    assert settings.effective(Settings(), {f"OPENCODE_ANTHROPIC_{name}": "no good"}) == Settings()
