"""What holds for every screen: it complains of nothing, and everybody can use it."""

import pytest

from helios.testing import browsing, browsing_data

ROUTES = browsing.ROOT / "web" / "src" / "routes" / "_console"


def _screens() -> list[str]:
    """Paths of the console's routes, those with a placeholder left out."""
    names = (
        str(file.relative_to(ROUTES)).removesuffix(".tsx").replace("/", ".")
        for file in ROUTES.rglob("*.tsx")
    )
    plain = ("/" + name.removesuffix("index").strip(".").replace(".", "/") for name in names)
    return sorted(each for each in plain if "$" not in each and "/_" not in each)


SCREENS = _screens()
LOOKS = (browsing.Look(), browsing.Look(theme="dark", size="narrow"))

every_screen = pytest.mark.parametrize("path", SCREENS)
every_look = pytest.mark.parametrize("look", LOOKS, ids=lambda look: f"{look.theme}-{look.size}")


def test_there_are_screens() -> None:
    assert {"/", "/events"} <= set(SCREENS)


@every_look
@every_screen
def test_a_screen_with_data_can_be_used_by_everybody(
    open_page: browsing.OpenPage,
    helios: browsing_data.Served,
    axe: browsing.Axe,
    path: str,
    look: browsing.Look,
) -> None:
    page = open_page(helios, path, theme=look.theme, size=look.size)
    assert page.get_by_role("heading", level=1).count() == 1
    assert axe(page) == []


@every_screen
def test_a_screen_without_data_can_be_used_by_everybody(
    open_page: browsing.OpenPage, empty_helios: browsing_data.Served, axe: browsing.Axe, path: str
) -> None:
    page = open_page(empty_helios, path)
    assert page.get_by_role("heading", level=1).count() == 1
    assert axe(page) == []


@every_screen
def test_nothing_of_a_screen_is_cut_off_on_a_telephone(
    open_page: browsing.OpenPage, helios: browsing_data.Served, path: str
) -> None:
    page = open_page(helios, path, size="narrow")
    wider = page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert wider <= 0, f"{wider} px beyond the edge"


def test_what_belongs_on_a_screen_without_data_is_not_cut_off_on_a_telephone(
    open_page: browsing.OpenPage, empty_helios: browsing_data.Served
) -> None:
    page = open_page(empty_helios, "/streams", size="narrow")
    why = page.get_by_role("heading", name="No contracts yet").locator("..")
    box = why.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= browsing.SIZES["narrow"]["width"]


def test_the_fields_of_an_event_are_not_cut_off_on_a_telephone(
    open_page: browsing.OpenPage, helios: browsing_data.Served
) -> None:
    page = open_page(helios, "/events/1", size="narrow")
    wider = page.evaluate(
        "() => [...document.querySelectorAll('dd, dd *')]"
        ".filter(each => each.getBoundingClientRect().right > innerWidth)"
        ".map(each => each.textContent)"
    )
    assert wider == []


def test_the_text_of_a_row_stays_where_it_is_when_the_row_is_chosen(
    open_page: browsing.OpenPage, helios: browsing_data.Served
) -> None:
    page = open_page(helios, "/events?t=24h", size="narrow")
    link = page.get_by_role("table").get_by_role("link").first
    link.focus()
    link.evaluate("each => each.scrollIntoView({inline: 'start', block: 'nearest'})")
    assert link.evaluate("each => each.closest('td').scrollLeft") == 0
