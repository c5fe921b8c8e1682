"""A real server heals a file that somebody deleted, and tells a person and an auditor why."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STACK = "acme/shop"
FILE = f"{STACK}/resource/page"
DECLARED = """\
apiVersion: blackwell.io/v1
kind: Composition
metadata: {client_id: acme, stack_id: shop, environment: prod}
spec:
  resources:
    page: {kind: file, path: site/page.json, content: '{"title": "Shop"}'}
---
apiVersion: blackwell.io/v1
kind: ReconciliationPolicy
metadata: {client_id: acme, stack_id: shop}
spec:
  schedule: {interval: 10s, timezone: UTC}
  auto_heal:
    enabled: true
    allowed_drift_types: [resource_missing]
    require_approval: [resource_missing]
"""
WAIT_S = 60


class Shell:
    """A person at a shell, with a server to talk to."""

    def __init__(self, serving: Any, folder: Path, url: str) -> None:
        self._serving, self._folder, self._url = serving, folder, url

    def told(self, *words: str, code: int = 0) -> str:
        done = self._serving.command(*words, "--url", self._url, cwd=self._folder)
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return str(done.stdout)

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.told(*words, "-o", "json", code=code))

    def until(self, ask: Callable[[], Any], what: str) -> Any:
        """What is asked for, once it is there."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            found = ask()
            if found:
                return found
            time.sleep(0.2)
        raise AssertionError(f"no {what}")


def test_a_heal_is_told_from_the_deletion_on_and_stands_up_to_an_audit(
    serving: Any, tmp_path: Path
) -> None:
    root = tmp_path / "files"
    page = root / "site" / "page.json"
    page.parent.mkdir(parents=True)
    page.write_text('{"title": "Shop"}')
    (tmp_path / "stack.yaml").write_text(DECLARED)
    with serving.serving(tmp_path / "data", "--builds-root", str(root)) as server:
        shell = Shell(serving, tmp_path, server.url)
        shell.told("apply", "-f", "stack.yaml")
        shell.told("wait", STACK, "--for", "InSync", "--timeout", "60s")
        page.unlink()

        def asked() -> Any:
            shell.told("reconcile-stack", STACK)
            return shell.json("approvals", "list", "--status", "pending")["approvals"]

        (approval,) = shell.until(asked, "approval")
        shell.told(
            "approve", approval["approval_id"], "--client-id", "acme", "--as", "ada",
            "--digest", approval["digest"], "--reason", "it is ours", "--yes",
        )  # fmt: skip
        shell.until(page.exists, "file")

        def healed() -> Any:
            found = shell.json("audit", "list", "--client-id", "acme", "--kind", "heal")
            return [each for each in found["entries"] if each["outcome"] == "succeeded"]

        (heal,) = shell.until(healed, "heal that was verified")
        assert heal["approver"] == ["user:ada"]
        assert heal["plan_digest"] == approval["digest"]

        text = shell.told("why", FILE)
        places = [
            text.index(word)
            for word in (
                "resource page",
                "confirmed",
                "plan",
                "agreed by ada",
                "did create_resource",
            )
        ]
        assert places == sorted(places)
        found = shell.json("why", heal["entry_id"])
        assert found["complete"]
        assert {"DriftSuspected", "ApprovalGranted", "HealSucceeded"} <= {
            node["type"] for node in found["nodes"]
        }
        path = [node for node in found["nodes"] if node["position"] in found["path"]]
        assert len({node["trace_id"] for node in path}) == 1, "one trace from sign to heal"
        assert "nothing is known as" in shell_error(serving, tmp_path, server.url)

        assert shell.told("audit", "show", heal["entry_id"]).count(approval["digest"]) == 2
        report = shell.json("audit", "report", "--client-id", "acme")
        assert report["complete"], report["breaches"]
        assert report["clients"][0]["unapproved"] == []
    # The server is gone; its folder still answers, and the log is checked with the report.
    checked = serving.command("audit", "report", "--data-dir", "data", "-o", "csv", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert "log,unbroken" in checked.stdout


def shell_error(serving: Any, folder: Path, url: str) -> str:
    """What is said of a key that is none."""
    done = serving.command("why", "no-such-thing", "--url", url, cwd=folder)
    assert done.returncode == 3
    return str(serving.one_line(done))
