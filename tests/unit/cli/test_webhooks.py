"""`helios webhooks explain`: a file in, the answer out, nothing else touched."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from helios import cli
from helios.ingest import captured
from helios.testing import senders

SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
BODY = '{"type":"order.created"}'


def _file(folder: Path, **change: Any) -> Path:
    headers = senders.standard_webhooks(SECRET, BODY.encode())
    document = {
        "id": "one",
        "provider": "standard-webhooks",
        "scheme": "standard_webhooks",
        "title": "what people call it",
        "request": {"method": "POST", "path": "/x", "headers": headers, "body_utf8": BODY},
        "config": {"secret": SECRET, "now": senders.NOW},
        **change,
    }
    path = folder / "delivery.json"
    path.write_text(json.dumps(document))
    return path


def _run(*args: str, text: str | None = None) -> Result:
    return CliRunner().invoke(cli.main, ["webhooks", "explain", *args], input=text)


def _json(*args: str, text: str | None = None) -> dict[str, Any]:
    result = _run(*args, text=text)
    assert result.exit_code == 0
    value: dict[str, Any] = json.loads(result.stdout)
    return value


def test_an_accepted_delivery_is_shown_with_its_events(tmp_path: Path) -> None:
    found = _json(str(_file(tmp_path)))
    assert (found["id"], found["outcome"], found["reason"]) == ("one", "accept", None)
    assert found["events"][0]["type"] == "order.created"
    assert found["response"] == {"status": 202}


def test_a_refused_delivery_is_an_answer_and_no_failure(tmp_path: Path) -> None:
    path = _file(tmp_path, config={"secret": SECRET, "now": senders.NOW + 999})
    result = _run(str(path), "-o", "table")
    assert result.exit_code == 0
    assert "reject: stale_timestamp" in result.stdout
    assert "401" in result.stdout


def test_the_time_may_be_given_and_wins_over_that_of_the_file(tmp_path: Path) -> None:
    path = str(_file(tmp_path, config={"secret": SECRET, "now": 0}))
    assert _json(path)["reason"] == "future_timestamp"
    assert _json(path, "--now", str(senders.NOW))["outcome"] == "accept"
    assert _json(path, "--now", "2024-11-16T02:12:10Z")["outcome"] == "accept"
    assert _run(path, "--now", "soon").exception is not None


def test_a_delivery_may_come_by_standard_input(tmp_path: Path) -> None:
    assert _json("-", text=_file(tmp_path).read_text())["outcome"] == "accept"


def test_what_the_file_says_beyond_the_format_is_noted_and_tolerated(tmp_path: Path) -> None:
    config = {"secret": SECRET, "now": senders.NOW, "colour": "blue"}
    result = _run(str(_file(tmp_path, config=config, captured_by="somebody")))
    assert (result.exit_code, "config.colour: not understood" in result.stderr) == (0, True)
    assert "accept" in result.stdout


def test_a_scheme_that_the_provider_does_not_know_goes_to_an_adapter_that_does(
    tmp_path: Path,
) -> None:
    found = _json(str(_file(tmp_path, provider="stripe")))
    assert (found["outcome"], found["provider"]) == ("accept", "standard-webhooks")
    assert _json(str(_file(tmp_path, provider="svix")))["outcome"] == "accept"


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"provider": "nobody", "scheme": "none such"}, "provider"),
        ({"request": {"headers": [["one"]]}}, "request.headers"),
        ({"request": {"body_b64": "*"}}, "request.body_b64"),
        ({"config": {"now": "soon"}}, "config.now"),
        ({"config": {"tolerance_s": "long"}}, "config.tolerance_s"),
        ({"config": {"certificates": []}}, "config.certificates"),
        ({"config": []}, "config"),
        ({"provider": 5}, "provider"),
    ],
)
def test_a_bad_file_is_named_with_the_place(
    tmp_path: Path, change: dict[str, Any], place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _file(tmp_path, **change)
    with pytest.raises(SystemExit) as exit_:
        cli.main(["webhooks", "explain", str(path)])
    assert exit_.value.code == 2
    shown = capsys.readouterr().err
    assert place in shown
    assert "delivery.json" in shown
    assert SECRET not in shown


def test_a_file_that_is_not_there_or_no_json_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    for name in ("x.json", "none.json"):
        with pytest.raises(SystemExit) as exit_:
            cli.main(["webhooks", "explain", str(tmp_path / name)])
        assert exit_.value.code == 2


def test_a_body_is_as_large_and_as_plain_as_the_source_takes_it(tmp_path: Path) -> None:
    config = {"secret": SECRET, "now": senders.NOW}
    packed = base64.b64encode(gzip.compress(BODY.encode())).decode()
    headers = [*senders.standard_webhooks(SECRET, BODY.encode()), ("Content-Encoding", "gzip")]
    request = {"headers": headers, "body_b64": packed}
    changes: list[tuple[dict[str, Any], str | None]] = [
        ({"content_encoding": True}, None),
        ({}, "content_encoding"),
        ({"content_encoding": True, "body_bytes_max": 10}, "too_large"),
    ]
    for change, reason in changes:
        path = _file(tmp_path, request=request, config={**config, **change})
        assert _json(str(path))["reason"] == reason
    small = _file(tmp_path, config={**config, "body_bytes_max": 10})
    assert _json(str(small))["response"] == {"status": 413}


def test_what_was_read_does_not_show_its_secret(tmp_path: Path) -> None:
    read = captured.read(_file(tmp_path).read_bytes(), file="x")
    setting = captured.setting(read, file="x")
    assert SECRET not in repr(read) + repr(setting)


def test_a_handshake_says_what_it_would_call(tmp_path: Path) -> None:
    address = "https://rp.eventgrid.azure.net/validate"
    event = {
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationUrl": address},
    }
    request = {"path": "/x?code=s", "headers": [], "body_utf8": json.dumps([event])}
    path = _file(
        tmp_path,
        provider="azure-eventgrid",
        scheme="eventgrid",
        request=request,
        config={"query_key": "code", "secret": "s"},
    )
    assert f"then GET {address}" in _run(str(path), "-o", "table").stdout
