"""Dead letters by the command line, with a server and without one."""

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import httpx

KEY = bytes(range(32))
SOURCE = """\
apiVersion: helios.io/v1
kind: Source
metadata: {name: shop}
spec:
  provider: standard-webhooks
  secrets: [secret:shop]
  schemas:
    order.paid: {properties: {amount: {type: number}}}
"""


class Verbs:
    """Runs verbs over a data folder."""

    def __init__(self, serving: Any, folder: Path) -> None:
        self._serving = serving
        self._folder = folder

    def __call__(self, *arguments: str, code: int = 0, **options: Any) -> Any:
        done = self.plain(*arguments, "-o", "json", **options)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return json.loads(done.stdout) if done.stdout.strip() else done.stderr

    def plain(self, *arguments: str, **options: Any) -> Any:
        where = ("--data-dir", str(self._folder))
        return self._serving.command(*arguments, *where, cwd=self._folder.parent, **options)


def send(url: str, event_id: str, amount: Any) -> None:
    body = json.dumps({"type": "order.paid", "amount": amount}).encode()
    stamp = str(int(time.time()))
    message = b".".join((event_id.encode(), stamp.encode(), body))
    digest = base64.b64encode(hmac.new(KEY, message, hashlib.sha256).digest()).decode()
    headers = {
        "webhook-id": event_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{digest}",
        "content-type": "application/json",
    }
    answer = httpx.post(f"{url}/webhook/shop", content=body, headers=headers, trust_env=False)
    assert answer.status_code == 202, answer.text


def declare(helios: Verbs, folder: Path, text: str = SOURCE) -> None:
    (folder.parent / "shop.yaml").write_text(text)
    secret = "whsec_" + base64.b64encode(KEY).decode()
    done = helios.plain("secrets", "set", "shop", "--from-stdin", input=secret + "\n")
    assert done.returncode == 0, done.stderr
    helios("sources", "apply", "shop.yaml")


def letters(helios: Verbs, *options: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = helios("dead-letters", "list", *options)["letters"]
    return listed


def test_letters_are_seen_mended_and_let_go(serving: Any, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    helios = Verbs(serving, folder)
    with serving.serving(folder) as server:
        declare(helios, folder)
        for number in range(6):
            send(server.url, f"a{number}", "twelve")
        (group,) = helios("dead-letters", "groups")
        assert (group["count"], group["reason"]) == (6, "schema")
        first, second, *_ = letters(helios)
        whole = helios("dead-letters", "show", first["id"])
        assert json.loads(whole["text"])["amount"] == "twelve"
        shown = helios.plain("dead-letters", "show", first["id"]).stdout
        assert '{"type": "order.paid", "amount": "twelve"}' in shown
        assert 'detail: payload.amount: the value is not of type "number"' in shown
        (still,) = helios("dead-letters", "retry", first["id"], code=1)
        assert (still["result"], still["reason"]) == ("dead", "schema")
        (tmp_path / "mended.json").write_text('{"type": "order.paid", "amount": 12}')
        helios("dead-letters", "edit", first["id"], "mended.json", "--note", "by hand")
        assert helios("dead-letters", "retry", first["id"])[0]["result"] == "stored"
        assert helios("dead-letters", "discard", second["id"])[0]["id"] == second["id"]
        assert len(letters(helios)) == 4
        assert server.stop() == 0
    _without_a_server(helios, folder, second["id"])


def _without_a_server(helios: Verbs, folder: Path, discarded: str) -> None:
    assert len(letters(helios, "--type", "order.paid")) == 4
    assert [one["id"] for one in letters(helios, "--status", "discarded")] == [discarded]
    preview = helios("dead-letters", "retry", "--all", "--dry-run")
    assert (preview["phase"], preview["total"]) == ("preview", 4)
    asked = helios.plain("dead-letters", "retry", "--all", stdin=-3)
    assert asked.returncode == 2
    assert "4 letters: look with --dry-run, then give --yes" in asked.stderr
    assert helios("dead-letters", "retry", "--all", "--yes", "--per-s", "1000", code=1)["dead"] == 4
    declare(helios, folder, SOURCE.replace("type: number", "type: string"))
    done = helios("dead-letters", "retry", "--all", "--yes", "--reason", "schema")
    assert (done["phase"], done["stored"], done["total"]) == ("done", 4, 4)
    assert letters(helios) == []
    assert helios("dead-letters", "retry", "--all", "--yes")["total"] == 0
    events = helios("events", "list", "--source", "shop")["events"]
    assert len({event["event_id"] for event in events}) == len(events) == 5


def test_what_cannot_be_meant_is_told(serving: Any, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    helios = Verbs(serving, folder)
    with serving.serving(folder) as server:
        for arguments in (
            ("retry",),
            ("retry", "abc", "--all"),
            ("retry", "abc", "--dry-run"),
            ("discard", "--all", "--per-s", "0"),
        ):
            assert helios.plain("dead-letters", *arguments).returncode == 2, arguments
        for verb in ("show", "retry", "discard"):
            done = helios.plain("dead-letters", verb, "../events")
            assert done.returncode == 3
            assert "dead letter ../events" in done.stderr
        assert server.stop() == 0
