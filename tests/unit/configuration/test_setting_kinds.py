"""How values of settings are read, bounded and refused."""

import dataclasses

import pytest

from helios.configuration import registry
from helios.configuration import setting as settings
from helios.kernel import errors
from helios.kernel import settings as static


def made(kind: settings.Kind, **given: object) -> settings.Setting:
    fields: dict[str, object] = {
        "name": "a.b",
        "title": "",
        "description": "",
        "acts_on": "",
        "kind": kind,
        "default": "",
    }
    return settings.Setting(**{**fields, **given})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "given", "kept"),
    [
        ("duration", "90s", "1m30s"),
        ("duration", "PT45S", "45s"),
        ("duration", 45, "45s"),
        ("duration", 0.25, "250ms"),
        ("duration", "45", "45s"),
        ("number", "2.5", 2.5),
        ("number", 3, 3.0),
        ("integer", "20", 20),
        ("integer", 20.0, 20),
        ("ratio", "1%", 0.01),
        ("ratio", "0.5 %", 0.005),
        ("ratio", 0.25, 0.25),
        ("switch", "on", True),
        ("switch", "OFF", False),
        ("switch", False, False),
        ("text", "a word", "a word"),
    ],
)
def test_a_value_is_kept_in_one_form(
    kind: settings.Kind, given: object, kept: settings.Value
) -> None:
    found = made(kind).read(given)
    assert found == kept
    assert type(found) is type(kept)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("duration", "soon"),
        ("duration", -1),
        ("duration", float("inf")),
        ("duration", True),
        ("duration", "1e400"),
        ("number", "nan"),
        ("number", True),
        ("number", "1_000"),
        ("number", [1]),
        ("integer", 2.5),
        ("integer", 1e300),
        ("ratio", "x%"),
        ("switch", "perhaps"),
        ("switch", 2),
        ("choice", "b"),
        ("text", "a\x00b"),
        ("text", "x" * 513),
        ("text", 7),
    ],
)
def test_a_value_of_another_kind_is_refused_by_name_and_field(
    kind: settings.Kind, given: object
) -> None:
    with pytest.raises(errors.InvalidInputError, match=r"^value: a\.b: .* expected ") as caught:
        made(kind, choices=("a",)).read(given)
    assert caught.value.field == "value"


@pytest.mark.parametrize(
    ("setting", "inside", "outside", "words"),
    [
        (made("duration", least="1s", most="1h"), "1h", "61m", "a duration from 1s to 1h"),
        (made("duration", least="1s"), "1s", "999ms", "a duration of at least 1s"),
        (made("integer", least=1, most=100), 100, 101, "a whole number from 1 to 100"),
        (made("ratio", least=0, most=1), "100%", "101%", "such as 1% or 0.01, from 0 to 1"),
        (made("choice", choices=("a", "b")), "b", "c", "one of a, b"),
        (made("switch"), True, "x", "true or false"),
    ],
)
def test_bounds_hold_and_are_told(
    setting: settings.Setting, inside: object, outside: object, words: str
) -> None:
    setting.read(inside)
    with pytest.raises(errors.InvalidInputError) as caught:
        setting.read(outside)
    assert words in caught.value.message
    assert setting.bounds in caught.value.message


def test_every_default_is_within_its_bounds_and_in_the_form_that_is_kept() -> None:
    for each in registry.SETTINGS.values():
        assert each.read(each.default) == each.default, each.name
        assert each.title, each.name
        assert each.description.endswith((".", "words.")), each.name
        assert each.acts_on, each.name


def test_what_a_process_is_started_with_gives_the_values_at_the_start() -> None:
    fields = {field.name for field in dataclasses.fields(static.Settings)}
    started = registry.started(static.Settings(content_ttl_s=7_200.0, log_level="error"))
    assert started["content.ttl"] == "2h"
    assert started["log.level"] == "error"
    for each in registry.SETTINGS.values():
        assert each.field is None or each.field in fields, each.name
        if each.field is not None:
            usual = registry.started(static.Settings())[each.name]
            assert each.read(usual) == usual == each.default, each.name


def test_a_misspelt_name_is_answered_with_the_right_one() -> None:
    with pytest.raises(errors.NotFoundError, match=r"did you mean content\.ttl\?"):
        registry.find("content.tll")
    with pytest.raises(errors.NotFoundError, match="helios config list"):
        registry.find("nothing like it at all")
