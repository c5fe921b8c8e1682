"""What a component is expected to be."""

import drifting as kit
import msgspec

from helios.reconcile.compositions import composition, expecting, normalising


def test_a_provider_is_registered_authorised_and_where_it_was_declared() -> None:
    assert expecting.tree(kit.STRAPI) == {
        "registered": True,
        "authorised": True,
        "url": "https://cms.test",
    }
    assert "url" not in expecting.tree(kit.SHOPIFY)


def test_a_webhook_has_its_events_without_order_and_its_headers_by_name() -> None:
    tree = expecting.tree(kit.HOOK)
    assert normalising.plain(tree) == {
        "locale": "en",
        "enabled": True,
        "headers": {"authorization": "as declared"},
        "delivering": True,
        "events": ["entry.publish", "entry.update"],
        "url": "https://helios.test/webhook/strapi",
    }
    turned = msgspec.structs.replace(kit.HOOK, events=("entry.publish", "entry.update"))
    assert expecting.tree(turned) == tree


def test_a_configuration_cannot_say_otherwise_what_goes_without_saying() -> None:
    hook = msgspec.structs.replace(kit.HOOK, configuration={"enabled": False, "headers": {}})
    assert expecting.tree(hook)["enabled"] is True
    assert expecting.tree(hook)["headers"] == {"authorization": "as declared"}


def test_a_resource_is_healthy_and_has_what_was_declared_in_normal_form() -> None:
    tree = expecting.tree(kit.QUEUE)
    assert tree["healthy"] is True
    assert tree["VisibilityTimeout"] == 30
    named = msgspec.structs.replace(
        kit.QUEUE, expects={"Tags": list(reversed(kit.QUEUE.expects["Tags"]))}
    )
    assert expecting.tree(named)["Tags"] == tree["Tags"]


def test_a_field_that_is_a_set_by_its_kind_has_no_order() -> None:
    name = composition.Resource(name="a", kind="dns", expects={"ipv4": ["2.2.2.2", "1.1.1.1"]})
    assert expecting.tree(name)["ipv4"] == {"$set": ["1.1.1.1", "2.2.2.2"]}
    free = composition.Resource(name="a", kind="file", expects={"json": {"ipv4": ["b", "a"]}})
    assert expecting.tree(free)["json"] == {"ipv4": ["b", "a"]}


def test_of_content_only_what_was_declared_is_expected() -> None:
    assert expecting.tree(kit.ARTICLE) == {
        "count": {"$min": 3},
        "age_s": {"$max": 7 * 24 * 3600},
        "differs": {"$max": 0},
    }
    free = composition.Content(type="page", provider="cms", matches_cache=False)
    assert expecting.tree(free) == {}


def test_every_component_of_a_stack_has_a_tree_by_its_address() -> None:
    stack_is = kit.declared()
    assert list(expecting.trees(stack_is)) == [each.address for each in stack_is.components()]
