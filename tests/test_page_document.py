import base64
import hashlib
import re
from html import escape
from pathlib import Path

import pytest

import core
from core import page
from core.wording import TERMS
from tests.markup import EVIL, checked

TEMPLATE = (Path(core.__file__).parent / "dashboard/page.html").read_text(encoding="utf-8")


def test_the_document_is_whole_and_carries_its_terms_and_nothing_that_runs_by_itself() -> None:
    text = page.document(TEMPLATE)

    tags = checked(text)
    assert text.count(escape(TERMS)) == 3, "in every dialog that adds accounts"
    assert [script.get("src") for script in tags.all("script")] == ["/-/page.js"]
    assert "<!--" not in text
    assert "tidegate-key" not in text


def test_the_document_of_a_link_carries_its_key_once() -> None:
    tags = checked(page.document(TEMPLATE, "the-key"))

    assert [meta["content"] for meta in tags.all("meta") if meta.get("name") == "tidegate-key"] == ["the-key"]


def test_every_field_of_the_document_has_its_label_and_keys_are_not_shown() -> None:
    tags = checked(page.document(TEMPLATE))
    labelled = {label["for"] for label in tags.all("label") if "for" in label}
    fields = [field for field in tags.all("input") if field.get("type") != "checkbox"]

    assert {field["id"] for field in fields} == labelled
    assert [field["type"] for field in fields if field["name"] == "key"] == ["password"]
    assert all(field["autocomplete"] == "off" for field in fields)


@pytest.mark.parametrize("policy", [page.CONTENT_SECURITY_POLICY, page.DOCUMENT_POLICY])
def test_both_policies_allow_nothing_from_elsewhere_and_nothing_inline(policy: str) -> None:
    assert policy.startswith("default-src 'none'")
    assert policy.endswith("base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_the_policy_of_a_message_allows_its_one_style_and_its_one_script() -> None:
    text = page.message(EVIL, EVIL)

    for name in ("style", "script"):
        (inside,) = re.findall(rf"<{name}>(.*?)</{name}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}';" in page.CONTENT_SECURITY_POLICY
    tags = checked(text)
    assert not {"src", "href"} & tags.attributes


def test_every_view_has_its_link_its_place_and_its_heading() -> None:
    tags = checked(page.document(TEMPLATE))

    links = [link["href"] for link in tags.all("a") if (link.get("href") or "").startswith("#")]
    assert links == [f"#{place['data-view']}" for place in tags.all("div") if "data-view" in place]
    assert len(tags.all("h1")) == len(links)
    assert len([place for place in tags.all("div") if "data-view" in place and "hidden" not in place]) == 1
