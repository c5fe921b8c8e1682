"""What is done about the webhooks at a provider."""

import msgspec

from helios.ingest import hooks
from helios.kernel import secret
from helios.providers import ports as providers

URL = "https://helios.example.com/webhook/shop"
NEW, OLD = secret.Secret("new"), secret.Secret("old")
OURS = providers.Hook(id="1", url=URL, events=("orders/create",))
OTHER = providers.Hook(id="2", url="https://elsewhere.example.com", events=("orders/create",))


def test_without_one_of_ours_one_is_made_with_the_newest_secret() -> None:
    plan = hooks.mended([OTHER], url=URL, events=("orders/create",), secrets=(NEW, OLD))
    assert plan.action == "create"
    assert plan.hook == providers.Hook(url=URL, events=("orders/create",), secret=NEW)


def test_one_that_is_right_is_left_alone() -> None:
    for events in ((), ("orders/create",)):
        plan = hooks.mended([OTHER, OURS], url=URL, events=events, secrets=(NEW,))
        assert plan == hooks.Plan(action="none", hook=OURS)


def test_one_that_is_switched_off_or_tells_too_little_is_mended() -> None:
    off = msgspec.structs.replace(OURS, enabled=False)
    plan = hooks.mended([off], url=URL, events=("orders/paid",), secrets=(NEW,))
    assert plan.action == "update"
    assert (plan.hook.id, plan.hook.enabled, plan.hook.secret) == ("1", True, NEW)
    assert plan.hook.events == ("orders/create", "orders/paid")
    assert hooks.mended([off, OURS], url=URL).action == "none", "another one of ours is right"
