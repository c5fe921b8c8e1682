"""What is folded from the log: how far it is, compared with the log, built anew."""

from playwright.sync_api import expect

from helios.testing import browsing, browsing_data


def test_a_view_is_compared_with_the_log(
    open_page: browsing.OpenPage, helios: browsing_data.Served, axe: browsing.Axe
) -> None:
    page = open_page(helios, "/views")
    page.get_by_role("link", name="verdicts", exact=True).click()
    panel = page.get_by_role("complementary", name="View", exact=True)
    panel.get_by_role("button", name="Verify", exact=True).click()
    outcome = panel.get_by_role("region", name="Verification")
    expect(outcome).to_contain_text("equal")
    expect(outcome).to_contain_text("rows compared with the log")
    assert axe(page) == []
    assert "sel=verdicts" in page.url


def test_a_view_is_built_anew_and_serves_on(
    open_page: browsing.OpenPage, helios: browsing_data.Served, axe: browsing.Axe
) -> None:
    page = open_page(helios, "/views/stacks", theme="dark", size="narrow")
    page.get_by_role("button", name="Rebuild…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("helios views rebuild stacks")
    dialog.get_by_role("button", name="Rebuild", exact=True).click()
    expect(page.get_by_role("region", name="Rebuild")).to_contain_text("built anew")
    assert axe(page) == []


def test_who_may_not_rebuild_is_told_which_role_could(
    open_page: browsing.OpenPage, guarded_helios: browsing_data.Served
) -> None:
    page = open_page(guarded_helios, "/views/stacks", user="olga")
    button = page.get_by_role("button", name="Rebuild…")
    expect(button).to_have_attribute("aria-disabled", "true")
    button.hover()
    expect(page.get_by_role("tooltip")).to_contain_text("Needs the role admin for all clients")
