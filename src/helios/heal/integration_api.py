"""Writes at the integration API of a stack, which registers providers and integrations."""

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib import parse as urls

from helios.heal import attempts
from helios.kernel import clock as clocks
from helios.kernel import jsonio, outbound
from helios.providers import calling
from helios.reconcile.compositions import composition, model, ports
from helios.reconcile.compositions.observing import integration_api

TIMEOUT_S = 20.0
TRIES = 3
"""Calls of one action: each has the same idempotency key, so it happens once."""

_SAID_CHARS = 200


class Api:
    """Calls integration APIs.

    Args:
        client: for the calls.
        clock: reads what is said about when to come again.
    """

    def __init__(self, client: outbound.Outbound, clock: clocks.Clock) -> None:
        self._client = client
        self._clock = clock

    def of(self, stack: composition.Composition) -> composition.Resource | None:
        """The integration API of a stack; None: it has none."""
        return integration_api.of(stack)

    async def write(
        self,
        attempt: attempts.Attempt,
        resource: composition.Resource,
        method: str,
        path: str,
        body: Mapping[str, Any],
    ) -> None:
        """Make a call that changes something.

        Raises:
            HealError: it was not done, or failed.
            OutboundError: no answer.
        """
        base = resource.settings.get("url")
        if not isinstance(base, str) or not base:
            raise ports.HealError("unsupported", f"{resource.address} declares no url")
        headers = [
            ("Content-Type", "application/json"),
            ("Accept", "application/json"),
            ("Idempotency-Key", attempt.action.idempotency_key or attempt.action.id),
        ]
        given = attempt.secrets(resource.credentials)
        if "token" in given:
            headers.append(("Authorization", f"Bearer {given['token'].text}"))
        call = outbound.Call(
            method=method,
            url=f"{base.rstrip('/')}{path}",
            headers=headers,
            body=jsonio.encode(body),
            timeout_s=TIMEOUT_S,
            bytes_max=1 << 20,
            attempts=TRIES,
        )
        with attempt.writing():
            answer = await self._client.send(call)
            if not answer.ok:
                raise self._refusal(answer, f"{method} {urls.urlsplit(base).netloc}{path}")

    def _refusal(self, answer: outbound.Answer, place: str) -> ports.HealError:
        code = attempts.of_status(answer.status)
        host = place.rpartition("@")[2]
        return ports.HealError(
            code,
            f"{host} answered {answer.status}{_said(answer)}",
            happened=not attempts.is_refusal(answer.status),
            retry_after_s=calling.retry_after(answer.headers.get("retry-after"), self._clock.now()),
        )


class Integrations:
    """Hand for `update_integration`: has the API keep a configuration.

    Args:
        api: calls it.
    """

    does: ClassVar[tuple[model.ActionKind, ...]] = ("update_integration",)

    def __init__(self, api: Api) -> None:
        self._api = api

    async def act(self, attempt: attempts.Attempt) -> ports.Acted:
        stack = attempt.job.stack
        declared = stack.component(attempt.action.target)
        if not isinstance(declared, composition.Integration):
            raise ports.HealError(
                "not_found", f"the stack declares no integration {attempt.action.target}"
            )
        resource = self._api.of(stack)
        if resource is None:
            raise ports.HealError(
                "unsupported",
                f"the stack has no integration API that keeps the configuration of {declared.name}",
            )
        wanted = {**declared.configuration, **attempt.wanted}
        fields = sorted(attempt.wanted) or sorted(wanted)
        path = f"/integrations/{urls.quote(declared.name, safe='')}"
        listing = ", ".join(fields)
        if attempt.job.dry_run:
            return ports.Acted(
                detail=f"would PUT {path} at {resource.address}, setting {listing}",
                changes=_changes(attempt, fields, wanted),
            )
        body = {"client_id": stack.client_id, "configuration": wanted}
        await self._api.write(attempt, resource, "PUT", path, body)
        return ports.Acted(
            detail=f"set {listing} of {declared.name} at {resource.address}",
            undo=_undo(attempt, fields),
            changes=_changes(attempt, fields, wanted),
        )


def _changes(
    attempt: attempts.Attempt, fields: list[str], wanted: Mapping[str, Any]
) -> dict[str, Any]:
    return {field: [attempt.was.get(field), wanted.get(field)] for field in fields}


def _undo(attempt: attempts.Attempt, fields: list[str]) -> dict[str, Any] | None:
    """What was there before; None when not all of it was seen."""
    if not fields or not set(fields) <= set(attempt.was):
        return None
    return {"set": {field: attempt.was[field] for field in fields}}


def _said(answer: outbound.Answer) -> str:
    text = answer.body[:_SAID_CHARS].decode("utf-8", "replace").strip()
    return f": {text}" if text else ""
