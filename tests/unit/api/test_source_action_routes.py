"""Replaying, polling, asking and mending over the API, with a provider kept in memory."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar

import msgspec
import pytest

from helios import app_ingest
from helios.kernel import clock as clocks
from helios.kernel import outbound
from helios.providers import ports as providers
from helios.providers import registry, standard_webhooks

PATH = "/api/v1/sources"
DECLARATION = """\
apiVersion: helios.io/v1
kind: Source
metadata: {name: shop}
spec:
  provider: remembered
  secrets: [secret:shop]
"""
OUR_URL = "http://helios/webhook/shop"


class Remembered(standard_webhooks.StandardWebhooks):
    """A provider whose API is this object."""

    name: ClassVar[str] = "remembered"
    title: ClassVar[str] = "Remembered"
    capabilities: ClassVar[frozenset[providers.Capability]] = frozenset(
        {
            providers.Capability.VERIFY,
            providers.Capability.PARSE,
            providers.Capability.LIST_CHANGES,
            providers.Capability.WEBHOOKS,
            providers.Capability.HEALTH,
        }
    )

    def __init__(self) -> None:
        self.hooks: dict[str, providers.Hook] = {}
        self.fault: Exception | None = None
        self.changes: list[providers.Received] = []
        self.asked_since: list[int] = []

    def _answer(self) -> None:
        if self.fault is not None:
            raise self.fault

    async def list_changes(
        self, _: providers.Api, since: clocks.Timestamp
    ) -> AsyncIterator[providers.Changed]:
        self._answer()
        self.asked_since.append(since)
        yield providers.Changed(events=self.changes)

    async def list_hooks(self, _: providers.Api) -> Sequence[providers.Hook]:
        self._answer()
        return list(self.hooks.values())

    async def create_hook(self, _: providers.Api, hook: providers.Hook) -> providers.Hook:
        made = msgspec.structs.replace(hook, id=str(len(self.hooks) + 1))
        self.hooks[str(made.id)] = made
        return made

    async def update_hook(self, _: providers.Api, hook: providers.Hook) -> providers.Hook:
        self.hooks[str(hook.id)] = hook
        return hook

    async def delete_hook(self, _: providers.Api, hook_id: str) -> None:
        del self.hooks[hook_id]

    async def health(self, _: providers.Api) -> providers.Health:
        self._answer()
        return providers.Health(reachable=True, authorised=True, quota_left=7)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Remembered:
    made, names, get = Remembered(), registry.names, registry.get
    monkeypatch.setattr(registry, "names", lambda: ["remembered", *names()])
    monkeypatch.setattr(registry, "get", lambda name: made if name == "remembered" else get(name))
    return made


async def declare(helios: Any, text: str = DECLARATION) -> None:
    helios.parts.ingestion.vault.put("shop", b"whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0")
    done = await helios.post(
        PATH, content=text.encode(), headers={"content-type": "application/yaml"}
    )
    assert done.status_code == 201, done.text


def lines(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [msgspec.json.decode(line) for line in answer.text.splitlines()]


def received(number: int) -> providers.Received:
    return providers.Received(id=f"e{number}", type="order.placed", payload=b"{}")


def test_a_webhook_is_registered_once_and_mended_when_it_is_wrong(
    run: Any, provider: Remembered
) -> None:
    async def scenario(helios: Any) -> None:
        await declare(helios)
        path = f"{PATH}/shop/hooks"
        tried = (await helios.post(f"{path}?dry_run=true", {"events": ["order.placed"]})).json()
        assert (tried["action"], tried["dry_run"], provider.hooks) == ("create", True, {})
        made = (await helios.post(path, {"events": ["order.placed"]})).json()
        assert (made["action"], made["hook"]["id"], made["hook"]["ours"]) == ("create", "1", True)
        assert provider.hooks["1"].secret is not None
        assert (await helios.call("PUT", path)).json()["action"] == "none"
        provider.hooks["1"] = msgspec.structs.replace(provider.hooks["1"], enabled=False)
        mended = (await helios.post(path)).json()
        assert (mended["action"], mended["hook"]["enabled"]) == ("update", True)
        listed = (await helios.get(path)).json()
        assert listed["url"] == OUR_URL
        assert [hook["url"] for hook in listed["hooks"]] == [OUR_URL]
        assert "secret" not in str(listed)
        elsewhere = (await helios.post(path, {"url": "https://h.example.com/x"})).json()
        assert elsewhere["hook"]["url"] == "https://h.example.com/x"
        gone = await helios.call("DELETE", f"{path}?hook_id=2")
        assert (gone.json()["action"], list(provider.hooks)) == ("delete", ["1"])
        assert (await helios.call("DELETE", f"{path}?hook_id=2")).status_code == 404
        assert (await helios.call("DELETE", path)).status_code == 400
        assert (await helios.post(path, {"evnts": []})).status_code == 400

    run(scenario)


def test_what_was_done_at_the_provider_is_in_the_log_and_is_not_done_twice(
    run: Any, provider: Remembered
) -> None:
    async def scenario(helios: Any) -> None:
        await declare(helios)
        path, key = f"{PATH}/shop/hooks", {"idempotency-key": "k"}
        first = await helios.post(path, {}, headers=key)
        again = await helios.post(path, {}, headers=key)
        assert again.json() == first.json()
        assert again.headers["idempotency-replayed"] == "true"
        assert len(provider.hooks) == 1
        found = (await helios.get("/api/v1/events?aggregate_type=source_action")).json()
        kinds = [event["eventType"] for event in found["events"]]
        assert kinds == ["source.hook_mend_requested", "source.hook_mend_finished"]
        one = await helios.get(f"{PATH}/shop")
        etag = {"if-match": one.headers["etag"]}
        gone = await helios.call("DELETE", f"{PATH}/shop", headers=etag)
        assert gone.status_code == 200, "what is done with a source does not move its version"

    run(scenario)


def test_a_provider_in_trouble_is_told_as_such(run: Any, provider: Remembered) -> None:
    async def scenario(helios: Any) -> None:
        await declare(helios)
        path = f"{PATH}/shop/health"
        well = (await helios.get(path)).json()
        assert well == {
            "supported": True, "reachable": True, "authorised": True, "quota_left": 7, "detail": ""
        }  # fmt: skip
        provider.fault = outbound.OutboundError("no answer", reason="timeout")
        assert (await helios.get(path)).json()["reachable"] is False
        hooks = await helios.http.get(f"{PATH}/shop/hooks")
        assert (hooks.status_code, hooks.json()["code"]) == (502, "outbound_failed")
        provider.fault = providers.ProviderApiError("go away", status=401)
        told = (await helios.get(path)).json()
        assert (told["reachable"], told["authorised"]) == (True, False)

    run(scenario)


def test_a_replay_brings_what_is_missing_and_nothing_twice(run: Any, provider: Remembered) -> None:
    async def scenario(helios: Any) -> None:
        await declare(helios)
        provider.changes = [received(1), received(2)]
        since = {"since": "2026-01-02T03:04:05Z"}
        last = lines(await helios.http.post(f"{PATH}/shop/replay", json=since))[-1]
        assert (last["phase"], last["result"]["stored"]) == ("done", 2)
        assert provider.asked_since == [1_767_323_045_000_000]
        provider.changes.append(received(3))
        last = lines(await helios.http.post(f"{PATH}/shop/replay", json=since))[-1]
        assert (last["result"]["stored"], last["result"]["duplicates"]) == (1, 2)
        found = (await helios.get("/api/v1/events?source=shop")).json()["events"]
        assert len(found) == 3
        polled = lines(await helios.http.post(f"{PATH}/shop/poll"))[-1]
        assert polled["phase"] == "done"
        for body in ({}, {"since": "now"}, {"since": "2026-01-02T03:04:05Z", "ids": ["a"]}):
            assert (await helios.post(f"{PATH}/shop/replay", body)).status_code == 400
        many = {"ids": [str(n) for n in range(2_000)]}
        assert (await helios.post(f"{PATH}/shop/replay", many)).status_code == 400
        assert (await helios.post(f"{PATH}/none/replay", json=since)).status_code == 404

    run(scenario)


def test_a_replay_that_fails_says_why_on_its_last_line(run: Any, provider: Remembered) -> None:
    async def scenario(helios: Any) -> None:
        await declare(helios)
        provider.fault = outbound.OutboundError("no answer", reason="timeout")
        last = lines(await helios.http.post(f"{PATH}/shop/poll"))[-1]
        assert (last["phase"], last["problem"]["code"]) == ("failed", "outbound_failed")
        ids = lines(await helios.http.post(f"{PATH}/shop/replay", json={"ids": ["a"]}))[-1]
        assert (ids["phase"], "since" in ids["problem"]["detail"]) == ("failed", True)

    run(scenario)


def test_the_providers_are_listed_with_the_schemas_of_their_settings(run: Any) -> None:
    async def scenario(helios: Any) -> None:
        found = (await helios.get("/api/v1/providers")).json()["providers"]
        by_name = {each["name"]: each for each in found}
        assert by_name["standard-webhooks"]["trust"] == "signed_id"
        assert by_name["kafka"]["fetches"] is True
        assert {"aws-sqs", "gcp-pubsub-pull", "azure-eventgrid-pull"} <= by_name.keys()
        one = (await helios.get("/api/v1/providers/shopify")).json()
        assert "$defs" in one["options"]
        assert (await helios.get("/api/v1/providers/none")).status_code == 404

    run(scenario)


def test_no_queue_has_the_name_of_a_provider() -> None:
    names = {fetcher.name for fetcher in app_ingest.FETCHERS}
    assert not names & set(registry.names())
