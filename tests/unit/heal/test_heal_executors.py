"""Executors as a whole: who does what, in what time, and what is told of it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
import structlog

from helios.heal import attempts, executors
from helios.kernel import clock as clocks
from helios.kernel import errors, outbound, secret
from helios.providers import ports as providers
from helios.reconcile.compositions import composition, model, ports

CANARY = 'canary "of the" vault/é'
Act = Callable[[attempts.Attempt], Awaitable[ports.Acted]]


class Vault:
    def find(self, reference: str) -> secret.Secret:
        if reference != "env:CANARY":
            raise errors.StorageError(f"{reference}: it is not there; set it")
        return secret.Secret(CANARY)


class Hand:
    does: tuple[model.ActionKind, ...] = ("create_webhook",)

    def __init__(self, act: Act) -> None:
        self._act = act

    async def act(self, attempt: attempts.Attempt) -> ports.Acted:
        return await self._act(attempt)


def job(
    kind: model.ActionKind = "create_webhook", *, timeout_s: float = 5.0, dry_run: bool = False
) -> ports.Job:
    action = model.Action(id="a1", kind=kind, target="integration/hook", timeout_s=timeout_s)
    stack = composition.Composition(stack_id="shop")
    return ports.Job(action=action, stack=stack, actor="service:test", dry_run=dry_run)


def run(
    act: Act, what: ports.Job | None = None, recheck: executors.Recheck | None = None
) -> ports.Acted:
    made = executors.Executors(
        (Hand(act),), vault=Vault(), clock=clocks.SystemClock(), recheck=recheck
    )
    return asyncio.run(made.act(what or job()))


def failed(act: Act, what: ports.Job | None = None) -> ports.HealError:
    with pytest.raises(ports.HealError) as caught:
        run(act, what)
    return caught.value


async def nothing(_: attempts.Attempt) -> ports.Acted:
    return ports.Acted(detail="done")


def test_an_action_of_no_hand_is_unsupported_and_did_not_happen() -> None:
    error = failed(nothing, job("rollback"))
    assert (error.code, error.happened) == ("unsupported", False)


def test_it_says_what_it_can_do() -> None:
    made = executors.Executors((Hand(nothing),), vault=Vault(), clock=clocks.SystemClock())
    assert tuple(made.kinds()) == ("create_webhook",)


def test_of_two_hands_the_first_does_it() -> None:
    async def second(_: attempts.Attempt) -> ports.Acted:
        raise AssertionError("the second was asked")

    hands = (Hand(nothing), Hand(second))
    made = executors.Executors(hands, vault=Vault(), clock=clocks.SystemClock())
    assert asyncio.run(made.act(job())).detail == "done"


def test_what_takes_too_long_while_it_writes_may_have_happened() -> None:
    async def forever(attempt: attempts.Attempt) -> ports.Acted:
        with attempt.writing():
            await asyncio.Event().wait()
        raise AssertionError

    error = failed(forever, job(timeout_s=0.01))
    assert (error.code, error.happened) == ("timeout", True)


def test_what_takes_too_long_before_it_writes_did_not_happen() -> None:
    async def forever(_: attempts.Attempt) -> ports.Acted:
        await asyncio.Event().wait()
        raise AssertionError

    error = failed(forever, job(timeout_s=0.01))
    assert (error.code, error.happened) == ("timeout", False)


def test_a_dry_run_cannot_write() -> None:
    written: list[str] = []

    async def careless(attempt: attempts.Attempt) -> ports.Acted:
        with attempt.writing():
            written.append("something")
        return ports.Acted(detail="done")

    error = failed(careless, job(dry_run=True))
    assert (error.code, error.happened, written) == ("internal", False, [])


def test_a_recheck_that_objects_keeps_the_action_from_being_done() -> None:
    done: list[str] = []

    async def act(_: attempts.Attempt) -> ports.Acted:
        done.append("it")
        return ports.Acted(detail="done")

    async def recheck(_: ports.Job) -> None:
        raise ports.HealError("precondition_failed", "it has changed")

    with pytest.raises(ports.HealError, match="it has changed"):
        run(act, recheck=recheck)
    assert not done


@pytest.mark.parametrize(
    ("error", "code", "happened"),
    [
        (providers.ProviderApiError("no", status=401), "unauthorised", False),
        (providers.ProviderApiError("no", status=403), "unauthorised", False),
        (providers.ProviderApiError("no", status=404), "not_found", False),
        (providers.ProviderApiError("no", status=409), "precondition_failed", False),
        (providers.ProviderApiError("no", status=422), "refused", False),
        (providers.ProviderApiError("no", status=429), "refused", False),
        (providers.ProviderApiError("no", status=408), "timeout", True),
        (providers.ProviderApiError("no", status=500), "unreachable", True),
        (providers.ProviderApiError("no sense"), "unreachable", True),
        (outbound.OutboundError("no", reason="unreachable"), "unreachable", True),
        (outbound.OutboundError("no", reason="timeout"), "timeout", True),
        (outbound.OutboundError("no", reason="forbidden_address"), "refused", False),
        (errors.InvalidInputError("no", field="spec.credentials"), "secret_missing", False),
        (errors.InvalidInputError("no", field="spec.options.shop"), "unsupported", False),
        (errors.ConflictError("no"), "precondition_failed", False),
        (errors.StorageError("no"), "internal", True),
        (KeyError("no"), "internal", True),
    ],
)
def test_each_failure_has_its_code_and_says_whether_it_may_have_happened(
    *, error: Exception, code: str, happened: bool
) -> None:
    async def act(attempt: attempts.Attempt) -> ports.Acted:
        with attempt.writing():
            raise error

    found = failed(act)
    assert (found.code, found.happened) == (code, happened)


def test_what_failed_after_something_was_written_has_happened() -> None:
    async def act(attempt: attempts.Attempt) -> ports.Acted:
        with attempt.writing():
            pass
        raise providers.ProviderApiError("no", status=404)

    assert failed(act).happened


def test_when_to_come_again_is_kept() -> None:
    async def act(_: attempts.Attempt) -> ports.Acted:
        raise providers.ProviderApiError("slower", status=429, retry_after_s=17.0)

    assert failed(act).retry_after_s == 17.0


def test_a_missing_secret_is_told_by_its_reference() -> None:
    async def act(attempt: attempts.Attempt) -> ports.Acted:
        attempt.kept("env:NOWHERE")
        raise AssertionError

    error = failed(act)
    assert (error.code, error.happened) == ("secret_missing", False)
    assert "env:NOWHERE" in error.detail


def _shown(value: secret.Secret) -> Mapping[str, Any]:
    text = value.text
    return {
        "detail": f"sent {text} to them",
        "undo": {"set": {"token": text}},
        "changes": {"token": [text, {"nested": [text]}], text: 1},
    }


def test_no_secret_leaves_in_what_is_told_of_a_success() -> None:
    async def act(attempt: attempts.Attempt) -> ports.Acted:
        return ports.Acted(**_shown(attempt.kept("env:CANARY")))

    with structlog.testing.capture_logs() as logged:
        acted = run(act)
    assert acted.detail == "sent *** to them"
    assert acted.undo is None, "what would need the secret cannot be undone"
    assert "canary" not in repr(acted) + repr(logged)
    assert [each["event"] for each in logged] == ["heal_action"]


@pytest.mark.parametrize("kind", [ports.HealError, providers.ProviderApiError, ValueError])
def test_no_secret_leaves_in_an_error(kind: type[Exception]) -> None:
    async def act(attempt: attempts.Attempt) -> ports.Acted:
        text = attempt.header("Bearer env:CANARY").text
        if kind is ports.HealError:
            raise ports.HealError("refused", f"they said {text}")
        raise kind(f"they said {text}")

    with structlog.testing.capture_logs() as logged:
        error = failed(act)
    assert "canary" not in f"{error} {error.detail} {error!r} {logged}"
    assert error.__cause__ is None
    assert error.__suppress_context__


def test_an_undo_without_secrets_is_kept_as_it_is() -> None:
    async def act(attempt: attempts.Attempt) -> ports.Acted:
        attempt.kept("env:CANARY")
        return ports.Acted(detail="done", undo={"set": {"events": ("a", "b"), "enabled": False}})

    assert run(act).undo == {"set": {"events": ("a", "b"), "enabled": False}}
