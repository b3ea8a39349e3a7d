from core.model import Settings
from core.page import settings
from core.settings import DESCRIPTIONS, SETTINGS, setting_texts, with_setting
from tests.markup import EVIL, checked

TEXTS = setting_texts(Settings())


def fields(text: str) -> dict[str, dict[str, str | None]]:
    """The attributes of each setting's field, by the setting's name."""
    tags = checked(text)
    found = [*tags.all("input"), *tags.all("select")]
    return {str(field["data-setting"]): field for field in found}


def test_every_setting_of_the_page_has_a_field_with_its_label_and_its_sentence() -> None:
    text = settings.view(TEXTS)

    tags = checked(text)
    assert set(fields(text)) == settings.ON_THE_PAGE
    labelled = {label["for"] for label in tags.all("label")}
    told = {paragraph["id"] for paragraph in tags.all("p") if "id" in paragraph}
    for key, field in fields(text).items():
        assert field["id"] in labelled
        assert set(str(field["aria-describedby"]).split()) <= told
        assert DESCRIPTIONS[key] in text


def test_what_decides_where_credentials_go_and_who_comes_in_is_not_on_the_page() -> None:
    assert not any(key.startswith("endpoints.") for key in settings.ON_THE_PAGE)
    assert not {"port", "passthrough"} & settings.ON_THE_PAGE
    assert set(SETTINGS) > settings.ON_THE_PAGE


def test_the_fields_show_what_is_set() -> None:
    changed = Settings()
    for key, text in (("failover", "off"), ("quiet_hours", "22:00-07:00"), ("log", "debug"), ("strategy", "sticky")):
        changed = with_setting(changed, key, text)
    text = settings.view(setting_texts(changed))

    shown = fields(text)
    assert "checked" not in shown["failover"]
    assert "checked" in shown["notifications"]
    assert shown["quiet_hours"]["value"] == "22:00-07:00"
    chosen = [option["value"] for option in checked(text).all("option") if "selected" in option]
    assert chosen == ["sticky", "debug"]


def test_every_choice_can_be_set() -> None:
    for option in checked(settings.view(TEXTS)).all("option"):
        key = "log" if option["value"] in {"debug", "info", "warning", "error"} else "strategy"
        with_setting(Settings(), key, str(option["value"]))


def test_no_value_becomes_markup() -> None:
    text = settings.view(TEXTS | {"quiet_hours": EVIL})

    checked(text)
    assert "<script" not in text
