"""Slack, PagerDuty and webhooks over the real client, and what must never be in them."""

import asyncio
import base64
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec
import pytest
import standardwebhooks

from helios.heal.notices import events as notice_events
from helios.heal.notices import message, notice, sending, trial
from helios.kernel import clock as clocks
from helios.kernel import errors, outbound
from helios.reconcile.compositions import events, policy
from helios.testing import answering, notices_bench

KEY = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, ok").decode()
CANARY = "canary-7f3a9c"
OK = answering.Response(value={"ok": True})


def said(**fields: object) -> message.Message:
    line = notice.Notice(
        kind="drift_detected",
        does="open",
        client_id="acme",
        stack_id="shop",
        subject="stack:shop",
        item="i",
        severity="high",
        at="2026-01-01T00:00:00Z",
        headline="drift <!channel> & more",
        detail="seen: `<b>`",
        links=(notice.Link(text="agree", command="helios approve `x`"),),
    )
    made = message.Message(
        key="ntc_1",
        incident="helios/acme/stack:shop",
        status="firing",
        client_id="acme",
        stack_id="shop",
        severity="high",
        title="[high] acme/shop: drift",
        at=line.at,
        lines=(line,),
    )
    return msgspec.structs.replace(made, **fields)


@contextlib.asynccontextmanager
async def senders(
    folder: Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[sending.Senders]:
    world = notices_bench.World(folder, environment)
    world.clock.time = clocks.SystemClock().now()
    async with answering.calling() as client:
        yield world.senders(client)


def test_a_webhook_is_signed_so_that_the_official_library_verifies_it(tmp_path: Path) -> None:
    async def go() -> None:
        with answering.Server(lambda _: OK) as server:
            async with senders(tmp_path, {"KEY": KEY}) as made:
                channel = policy.Channel(
                    type="webhook", name="w", url=f"{server.url}/hook", secret="env:KEY"
                )
                await made.send(channel, said())
        (request,) = server.asked
        headers = {name: request.headers[name] for name in request.headers}
        body = standardwebhooks.Webhook(KEY).verify(request.body, headers)
        assert body["id"] == "ntc_1"
        assert request.headers["webhook-id"] == request.headers["idempotency-key"] == "ntc_1"

    asyncio.run(go())


def test_a_webhook_without_a_secret_is_not_signed(tmp_path: Path) -> None:
    async def go() -> None:
        with answering.Server(lambda _: OK) as server:
            async with senders(tmp_path) as made:
                channel = policy.Channel(type="webhook", name="w", url=server.url)
                await made.send(channel, said())
        assert "webhook-signature" not in server.asked[0].headers

    asyncio.run(go())


def test_slack_gets_blocks_in_which_nothing_from_outside_is_markup(tmp_path: Path) -> None:
    async def go() -> None:
        with answering.Server(lambda _: answering.Response(value=b"ok")) as server:
            async with senders(tmp_path, {"SLACK": f"{server.url}/services/{CANARY}"}) as made:
                channel = policy.Channel(type="slack", name="s", url="env:SLACK")
                await made.send(channel, said())
        (request,) = server.asked
        assert request.path == f"/services/{CANARY}"
        body = request.json()
        kinds = [block["type"] for block in body["blocks"]]
        assert kinds == ["header", "section", "context"]
        assert "<!channel>" not in json.dumps(body["blocks"])
        assert "&lt;!channel&gt;" in body["blocks"][1]["text"]["text"]

    asyncio.run(go())


def test_long_messages_stay_within_the_limits_of_slack(tmp_path: Path) -> None:
    async def go() -> None:
        line = said().lines[0]
        lines = [
            msgspec.structs.replace(line, headline="h" * 600, detail="d" * 4_000) for _ in range(20)
        ]
        with answering.Server(lambda _: OK) as server:
            async with senders(tmp_path) as made:
                channel = policy.Channel(type="slack", name="s", url=server.url)
                await made.send(channel, said(lines=tuple(lines), title="t" * 250))
        blocks = server.asked[0].json()["blocks"]
        assert len(blocks) <= 50
        assert len(blocks[0]["text"]["text"]) <= 150
        assert all(
            len(block["text"]["text"]) <= 3_000 for block in blocks if block["type"] == "section"
        )

    asyncio.run(go())


def test_pagerduty_gets_an_event_of_version_two(tmp_path: Path) -> None:
    async def go() -> None:
        with answering.Server(lambda _: answering.Response(status=202)) as server:
            async with senders(tmp_path, {"PD": CANARY}) as made:
                channel = policy.Channel(
                    type="pagerduty", name="p", routing_key="env:PD", url=server.url
                )
                await made.send(channel, said())
                await made.send(channel, said(status="resolved"))
        trigger, resolve = (request.json() for request in server.asked)
        assert trigger["event_action"] == "trigger"
        assert trigger["dedup_key"] == "helios/acme/stack:shop"
        assert trigger["payload"]["summary"] == "[high] acme/shop: drift"
        assert trigger["payload"]["source"] == "helios"
        assert trigger["payload"]["severity"] == "error"
        assert trigger["links"][0]["href"] == "http://helios.test/acme/shop"
        assert resolve == {
            "routing_key": CANARY,
            "event_action": "resolve",
            "dedup_key": "helios/acme/stack:shop",
        }

    asyncio.run(go())


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    async def go() -> None:
        away = answering.Response(status=307, headers={"location": "http://169.254.169.254/"})
        with answering.Server(lambda _: away) as server:
            async with senders(tmp_path) as made:
                channel = policy.Channel(type="slack", name="s", url=server.url)
                with pytest.raises(sending.NotToldError, match="307"):
                    await made.send(channel, said())
        assert len(server.asked) == 1

    asyncio.run(go())


def test_an_address_that_is_not_public_is_refused(tmp_path: Path) -> None:
    async def go() -> None:
        async with senders(tmp_path) as made:
            channel = policy.Channel(type="slack", name="s", url="http://169.254.169.254/latest")
            with pytest.raises(sending.NotToldError, match="outbound_allow"):
                await made.send(channel, said())

    asyncio.run(go())


def test_no_secret_is_in_the_log_in_events_or_in_messages(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)

    async def go() -> None:
        answers = [answering.Response(status=500, value={"said": CANARY})] * 3

        def answer(_: answering.Request) -> answering.Response:
            return answers.pop() if answers else OK

        with answering.Server(answer) as server:
            environment = {
                "SLACK": f"{server.url}/services/{CANARY}",
                "PD": CANARY,
                "KEY": f"whsec_{base64.b64encode(CANARY.encode()).decode()}",
            }
            world = notices_bench.World(tmp_path, environment)
            async with answering.calling() as client, world.life(world.senders(client)) as bench:
                await bench.set_policy(
                    "[{type: slack, name: s, webhook_url: 'env:SLACK'}, "
                    f"{{type: pagerduty, name: p, routing_key: 'env:PD', url: '{server.url}/v2'}}, "
                    f"{{type: webhook, name: w, url: '{server.url}/w', secret: 'env:KEY'}}, "
                    "{type: slack, name: gone, webhook_url: 'env:NOT_SET'}]"
                )
                await bench.drift()
                for _ in range(5):
                    await bench.passes(600)
                log = (await bench.everything()).decode()
                failed = await bench.said(notice_events.FAILED)
                assert {each.channel for each in failed} == {"s", "p", "w", "gone"}
                assert any("NOT_SET" in each.detail for each in failed)
            bodies = [request.body.decode() for request in server.asked]
            told = [body for body in bodies if "routing_key" not in body]
            assert len(told) < len(bodies)
        for text in (log, *told, caplog.text, *capsys.readouterr()):
            assert CANARY not in text

    asyncio.run(go())


def test_what_an_answer_says_never_gets_into_the_log(tmp_path: Path) -> None:
    async def go() -> None:
        refused = answering.Response(status=403, value={"error": CANARY})
        with answering.Server(lambda _: refused) as server:
            async with senders(tmp_path) as made:
                channel = policy.Channel(type="slack", name="s", url=server.url)
                with pytest.raises(sending.NotToldError) as caught:
                    await made.send(channel, said())
        assert caught.value.detail == "the other side answers 403"

    asyncio.run(go())


def test_a_trial_says_what_became_of_it_channel_by_channel(tmp_path: Path) -> None:
    def answer(request: answering.Request) -> answering.Response:
        return answering.Response(status=404) if request.path == "/gone" else OK

    async def go() -> None:
        world = notices_bench.World(tmp_path, {"PD": "key"})
        with answering.Server(answer) as server:
            async with answering.calling() as client, world.life(world.senders(client)) as bench:
                await bench.set_policy(
                    f"[{{type: slack, name: a, url: '{server.url}/gone', "
                    "severity_threshold: critical}, "
                    f"{{type: pagerduty, name: b, routing_key: 'env:PD', url: '{server.url}/v2'}}, "
                    "{type: email, name: c, addresses: [ada@example.com]}]"
                )
                text = (
                    "apiVersion: blackwell.io/v1\nkind: Composition\n"
                    "metadata: {client_id: acme, stack_id: shop}\n"
                    "spec: {resources: {page: {kind: http, url: 'http://site.test'}}}\n"
                )
                declared = events.Declared(
                    stack_id="shop",
                    uid="u",
                    generation=1,
                    version="v1.0.0",
                    hash="h",
                    text=text,
                    environment="prod",
                )
                await bench.say(events.STACK_DECLARED, declared)
                tried = trial.Trial(
                    bench.store, bench.senders, clock=bench.clock, id_source=bench.ids
                )
                found = await tried("acme", "shop")
                assert [(each.channel, each.delivered) for each in found] == [
                    ("a", False),
                    ("b", True),
                    ("c", False),
                ]
                assert found[0].detail == "the other side answers 404"
                actions = [r.json()["event_action"] for r in server.asked if r.path == "/v2"]
                assert actions == ["trigger", "resolve"]
                (one,) = await tried("acme", "shop", "a")
                assert one.channel == "a"
                with pytest.raises(errors.NotFoundError, match="it has: a, b, c"):
                    await tried("acme", "shop", "z")

    asyncio.run(go())


def test_a_sender_that_breaks_is_a_failed_message_like_any_other(tmp_path: Path) -> None:
    class Broken:
        async def send(self, place: sending.Place, said: message.Message) -> None:
            raise RuntimeError(CANARY)

    async def go() -> None:
        world = notices_bench.World(tmp_path)
        made = sending.Senders({"slack": Broken()}, world.vault)
        channel = policy.Channel(type="slack", name="s", url="http://slack.test")
        with pytest.raises(sending.NotToldError) as caught:
            await made.send(channel, said())
        assert caught.value.detail == "the sender failed: RuntimeError"

    asyncio.run(go())


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120.0), ("Thu, 01 Jan 2026 00:01:00 GMT", 60.0), ("soon", None), (None, None)],
)
def test_retry_after_is_read_in_both_forms(header: str | None, seconds: float | None) -> None:
    now = clocks.parse_rfc3339("2026-01-01T00:00:00Z")
    answer = outbound.Answer(
        status=429, headers={"retry-after": header} if header else {}, body=b""
    )
    with pytest.raises(sending.NotToldError) as caught:
        sending.judge(answer, now)
    assert caught.value.retry_after_s == seconds
