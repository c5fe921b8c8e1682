"""What is kept of a delivery that is set aside: enough to read it again, and no secret."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from helios.ingest import captured, dead_letters, letters
from helios.kernel import clock as clocks
from helios.projections.views import dead_letters as view
from helios.providers import ports
from helios.testing import gate_bench as kit

ROOT = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("HELIOS_SHARED", ROOT.parent / "shared")) / "vectors"
RECORDED = ROOT / "tests/data"


def files() -> Iterator[Path]:
    for folder in (SHARED, RECORDED):
        yield from sorted(folder.glob("*/*.json"))


def accepted(path: Path) -> bool:
    found = json.loads(path.read_bytes())
    return isinstance(found, dict) and found.get("expect", {}).get("outcome") == "accept"


FILES = [path for path in files() if accepted(path)]


def parsed(setting: captured.Setting, delivery: ports.Delivery) -> list[Any]:
    found = setting.provider.parse(delivery, setting.source, setting.documents)
    assert not isinstance(found, ports.Handshake)
    return [msgspec.to_builtins(event) for event in found]


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_what_is_kept_of_a_delivery_reads_as_the_delivery_did(path: Path) -> None:
    setting = captured.setting(captured.read(path.read_bytes(), file=path.name), file=path.name)
    options = msgspec.to_builtins(setting.source.options) if setting.source.options else {}
    kept = letters.kept_headers(setting.delivery.headers, options)
    again = msgspec.structs.replace(setting.delivery, headers=tuple(kept))
    assert parsed(setting, again) == parsed(setting, setting.delivery)


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_nothing_that_proves_is_kept_of_a_delivery(path: Path) -> None:
    setting = captured.setting(captured.read(path.read_bytes(), file=path.name), file=path.name)
    kept = letters.kept_headers(setting.delivery.headers, {"header": "X-Custom"})
    told = "\n".join(value for _, value in kept)
    for secret in setting.source.secrets:
        assert secret.text not in told
    for name, value in setting.delivery.headers:
        if any(word in name.lower() for word in ("signature", "hmac", "token", "authorization")):
            assert value not in told


def test_there_are_vectors() -> None:
    if not SHARED.is_dir() and os.environ.get("CI") != "true":
        pytest.skip(f"no shared data at {SHARED}")
    assert len(FILES) > 10


@pytest.mark.parametrize(
    ("name", "options", "kept"),
    [
        ("Authorization", {}, None),
        ("Cookie", {}, None),
        ("X-Unheard-Of", {}, None),
        ("X-Event", {"extract": {"event_type": "header:X-Event"}}, "v"),
        ("X-Request-Stamp", {"timestamp_header": "X-Request-Stamp"}, "v"),
        ("X-Proof", {"header": "X-Proof", "extract": {"event_id": "header:X-Proof"}}, "***"),
        ("X-Api-Token", {"extract": {"event_id": "header:X-Api-Token"}}, "***"),
        ("X-Contentful-Idempotency-Key", {}, "v"),
        ("X-Shopify-Hmac-Sha256", {}, "***"),
        ("X-Shopify-Topic", {}, "v"),
        ("aeg-sas-key", {}, "***"),
    ],
)
def test_a_header_is_kept_by_its_name(name: str, options: Any, kept: str | None) -> None:
    wanted = [] if kept is None else [(name, kept)]
    assert letters.kept_headers(((name, "v"),), options) == wanted


def test_headers_are_bounded() -> None:
    many = tuple((f"ce-x{n}", "v" * 5_000) for n in range(100))
    kept = letters.kept_headers(many, {})
    assert len(kept) == letters.HEADERS_KEPT
    assert {len(value) for _, value in kept} == {letters.HEADER_CHARS_MAX}


def test_whatever_a_detail_holds_can_be_kept() -> None:
    one = kit.arrived(body=b"x").arrival
    event = letters.record(one, reason="r", detail="a\0b\ud800" + "c" * 1_000)
    assert event.data() if hasattr(event, "data") else json.loads(event.payload)
    assert len(json.loads(event.payload)["detail"]) == letters.DETAIL_CHARS_MAX


def test_a_body_that_is_too_large_is_cut_and_says_so() -> None:
    body = b"x" * (dead_letters.BODY_BYTES_MAX + 1)
    told = json.loads(
        letters.record(kit.arrived(body=body).arrival, reason="r", detail="d").payload
    )
    assert (told["cut"], told["bytes"]) == (True, len(body))
    assert len(told["body"]) <= len(body) * 4 / 3 + 4


def test_the_id_of_a_letter_follows_from_the_delivery() -> None:
    def made(body: bytes = b"x", **headers: str) -> str:
        delivery = ports.Delivery(
            headers=tuple((n.replace("_", "-"), v) for n, v in headers.items())
        )
        arrival = msgspec.structs.replace(kit.arrived(body=body).arrival, delivery=delivery)
        return letters.record(arrival, reason="r", detail="d").id

    assert made(webhook_id="1") == made(webhook_id="1", webhook_timestamp="5", date="now")
    assert len({made(), made(b"y"), made(webhook_id="1"), made(webhook_id="2")}) == 4


def test_view_and_gate_speak_of_the_same_events() -> None:
    for name in ("SOURCE", "AGGREGATE_TYPE", "RECORDED", "EDITED", "RETRIED", "DISCARDED"):
        assert getattr(view, name) == getattr(dead_letters, name)


def test_an_arrival_time_is_the_event_time_of_its_letter() -> None:
    event = letters.record(kit.arrived(now=clocks.Timestamp(5)).arrival, reason="r", detail="d")
    assert event.occurred_at == 5
