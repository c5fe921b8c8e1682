"""Menus and tabs: by pointer, by keys, and for who cannot see them."""

from playwright.sync_api import Locator, Page, expect

from helios.testing import browsing, browsing_data


def _time_range(page: Page) -> tuple[Locator, Locator]:
    return page.get_by_role("button", name="Time range"), page.get_by_role("menu")


def test_a_menu_opens_under_its_button_and_closes_when_something_else_is_pressed(
    open_page: browsing.OpenPage, empty_helios: browsing_data.Served, axe: browsing.Axe
) -> None:
    for size in ("wide", "narrow"):
        page = open_page(empty_helios, "/events", size=size)
        button, menu = _time_range(page)
        expect(button).to_have_attribute("aria-expanded", "false")
        button.click()
        expect(button).to_have_attribute("aria-expanded", "true")
        expect(menu).to_be_visible()
        under, over = menu.bounding_box(), button.bounding_box()
        assert under is not None
        assert over is not None
        assert under["y"] >= over["y"] + over["height"]
        assert under["x"] >= 0
        assert under["x"] + under["width"] <= page.evaluate("innerWidth")
        assert axe(page) == []
        page.get_by_role("heading", level=1).click()
        expect(menu).to_have_count(0)
        button.click()
        button.click()
        expect(menu).to_have_count(0)


def test_what_is_chosen_in_a_menu_holds_and_is_marked(
    open_page: browsing.OpenPage, empty_helios: browsing_data.Served
) -> None:
    page = open_page(empty_helios, "/events")
    button, menu = _time_range(page)
    button.click()
    live = page.get_by_role("menuitemcheckbox", name="Live")
    expect(live).to_be_checked()
    hour = page.get_by_role("menuitemcheckbox", name="Last hour")
    hour.hover()
    expect(hour).to_be_focused()
    hour.click()
    page.wait_for_url("**/events?t=1h")
    expect(menu).to_have_count(0)
    expect(button).to_be_focused()
    button.click()
    expect(hour).to_be_checked()
    expect(live).not_to_be_checked()
    # A dialog that a choice opens gives the focus back to the button.
    page.get_by_role("menuitemcheckbox", name="From").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(button).to_be_focused()


def test_a_menu_is_walked_by_keys_which_the_page_does_not_take(
    open_page: browsing.OpenPage, empty_helios: browsing_data.Served
) -> None:
    page = open_page(empty_helios, "/events?q=type:nothing")
    button, menu = _time_range(page)
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitemcheckbox", name="Live")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitemcheckbox", name="Last 15 minutes")).to_be_focused()
    page.keyboard.press("End")
    expect(page.get_by_role("menuitemcheckbox", name="UTC")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitemcheckbox", name="UTC")).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("menuitemcheckbox", name="Live")).to_be_focused()
    page.keyboard.type("lo")
    expect(page.get_by_role("menuitemcheckbox", name="Local time")).to_be_focused()
    # `p` pauses the list, and Escape would leave it.
    page.keyboard.press("p")
    page.keyboard.press("Escape")
    expect(menu).to_have_count(0)
    expect(button).to_be_focused()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitemcheckbox", name="Live")).to_be_focused()
    page.keyboard.press("Tab")
    expect(menu).to_have_count(0)
    expect(button).not_to_be_focused()


def test_a_link_in_a_menu_leads_where_it_says(
    open_page: browsing.OpenPage, empty_helios: browsing_data.Served
) -> None:
    page = open_page(empty_helios, "/events")
    page.get_by_role("button", name="User menu").click()
    page.get_by_role("menuitem", name="About and health").hover()
    page.keyboard.press("Enter")
    page.wait_for_url("**/settings/about")
    expect(page.get_by_role("menu")).to_have_count(0)


def test_what_cannot_be_chosen_says_why_and_does_nothing(
    open_page: browsing.OpenPage, empty_helios: browsing_data.Served
) -> None:
    page = open_page(empty_helios, "/events")
    page.get_by_role("button", name="Saved").click()
    save = page.get_by_role("menuitem", name="Save this filter")
    expect(save).to_contain_text("There is no filter to save")
    expect(save).to_be_disabled()
    save.click(force=True)
    expect(page.get_by_role("menu")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_tabs_are_walked_by_arrows_and_stand_in_the_address(
    open_page: browsing.OpenPage, helios: browsing_data.Served, axe: browsing.Axe
) -> None:
    page = open_page(helios, "/streams")
    page.get_by_role("link", name="Contract ").first.click()
    tabs = page.get_by_role("tab")
    expect(tabs.first).to_have_attribute("aria-selected", "true")
    tabs.first.focus()
    page.keyboard.press("ArrowRight")
    expect(tabs.nth(1)).to_be_focused()
    expect(tabs.nth(1)).to_have_attribute("aria-selected", "true")
    page.wait_for_url("**/streams/*tab=*")
    page.keyboard.press("Home")
    expect(tabs.first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowLeft")
    expect(tabs.last).to_be_focused()
    panel = page.get_by_role("tabpanel")
    expect(panel).to_have_count(1)
    assert panel.get_attribute("aria-labelledby") == tabs.last.get_attribute("id")
    assert axe(page) == []
