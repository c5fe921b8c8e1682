"""The verbs about declared stacks, as a person types them, over a data folder."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from helios import app, cli
from helios.api import plans
from helios.cli import plan_text
from helios.kernel import clock as clocks
from helios.kernel import settings
from helios.reconcile.compositions import events, model, writer
from helios.testing import stack_samples as samples

NAME = f"{samples.CLIENT}/{samples.STACK}"
CHANGED = samples.DECLARATION.replace("https://www.example.com", "https://shop.example.com")
SMALLER = samples.DECLARATION[: samples.DECLARATION.index("  resources:")]
POLICY = """\
apiVersion: blackwell.io/v1
kind: ReconciliationPolicy
metadata: {client_id: acme-corp, stack_id: cms-ecom-prod}
spec:
  auto_heal: {enabled: true, allowed_drift_types: [webhook_broken]}
"""
SITE = """\
apiVersion: helios.io/v1
kind: Site
metadata: {name: blog}
spec:
  content: {sources: [cms]}
  build: {type: webhook, url: https://build.example.com/hook}
  quiet: 1s
"""


class Shell:
    """A person at a shell, beside a data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        asyncio.run(self._tell([]))

    def told(self, *args: str, code: int = 0, text: str | None = None) -> str:
        """What is printed, people's way; the exit code has to be this one."""
        env = {"HELIOS_ACTOR": "ada", "HELIOS_BUILDS_ROOT": str(self.folder)}
        result = CliRunner(env=env).invoke(
            _Main("helios"), [*args, "--data-dir", str(self.data)], input=text
        )
        assert result.exit_code == code, (result.exit_code, result.output)
        return result.output

    def json(self, *args: str, code: int = 0) -> Any:
        return json.loads(self.told(*args, "-o", "json", code=code))

    def file(self, text: str, name: str = "blackwell.yaml") -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def declare(self, text: str = samples.DECLARATION) -> None:
        self.told("apply", "-f", self.file(text))

    def say(self, said: Sequence[writer.Said]) -> None:
        asyncio.run(self._tell(said))

    async def _tell(self, said: Sequence[writer.Said]) -> None:
        found = settings.Settings(data_dir=self.data)
        async with app.opened(found, briefly=True) as parts:
            if said:
                now = parts.clock.now()
                await samples.tell(parts.log, said, now=now, id_source=parts.ids)


class _Main(click.Command):
    """The command line as a shell runs it: errors are one line and a code."""

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> Any:
        del extra
        return cli.main.main(list(args or ()), prog_name)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def now() -> clocks.Timestamp:
    return clocks.SystemClock().now()


def test_a_file_is_declared_and_shown_with_what_it_changes(shell: Shell) -> None:
    shown = shell.told("apply", "-f", shell.file(samples.DECLARATION), "--note", "first")
    assert "declared" in shown
    assert "+ integration/cms-webhook" in shown
    assert "unchanged" in shell.told("apply", "-f", shell.file(samples.DECLARATION))
    tried = shell.told("apply", "-f", shell.file(CHANGED), "--dry-run")
    assert ("valid" in tried, "~ resource/site" in tried) == (True, True)
    (listed,) = shell.json("state", "list")["stacks"]
    assert (listed["stack_id"], listed["generation"]) == (samples.STACK, 1)
    history = shell.json("history", NAME)["versions"]
    assert (history[0]["actor"], history[0]["note"]) == ("user:ada", "first")


def test_documents_of_several_kinds_go_where_they_belong_in_their_order(shell: Shell) -> None:
    file = shell.file(f"{POLICY}---\n{samples.DECLARATION}---\n{SITE}")
    tried = shell.json("apply", "-f", file, "--dry-run")
    assert {each["result"] for each in tried} == {"valid"}
    done = shell.json("apply", "-f", file)
    assert [(each["kind"], each["result"]) for each in done] == [
        ("Site", "declared"),
        ("Composition", "declared"),
        ("ReconciliationPolicy", "declared"),
    ]
    assert shell.told("policy", "get", NAME).rstrip() == POLICY.rstrip()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (samples.DECLARATION.replace("resources:", "resuorces:"), "blackwell.yaml:10:5"),
        (
            "---\n".join([POLICY, samples.DECLARATION.replace("kind: http", "kind: htp")]),
            "blackwell.yaml:16:18",
        ),
        ("apiVersion: helios.io/v1\nkind: Nothing\n", "blackwell.yaml:2"),
        ("---\n".join([samples.DECLARATION, SITE.replace("quiet", "quite")]), "blackwell.yaml:18"),
        ("metadata: {}\n", "field 'kind' is missing"),
        ("", "blackwell.yaml"),
    ],
)
def test_a_wrong_file_is_named_with_its_line_and_nothing_is_declared(
    shell: Shell, text: str, place: str
) -> None:
    assert place in shell.told("apply", "-f", shell.file(text), code=2)
    assert shell.json("state", "list")["stacks"] == []


def test_what_takes_much_away_needs_to_be_meant(shell: Shell) -> None:
    shell.declare()
    file = shell.file(SMALLER)
    assert "--allow-removals" in shell.told("apply", "-f", file, code=3)
    assert "- resource/site" in shell.told("apply", "-f", file, "--allow-removals")


def test_a_state_is_exported_and_imported_again(shell: Shell) -> None:
    shell.declare()
    file = str(shell.folder / "blackwell.state.json")
    shell.told("state", "export", NAME, "--file", file)
    assert json.loads(Path(file).read_text())["kind"] == "StateRecord"
    assert "unchanged" in shell.told("state", "import", file)
    shell.told("state", "remove", NAME, "--yes", "--reason", "over")
    assert "declared" in shell.told("state", "import", file)
    assert samples.STACK in shell.told("state", "document", NAME)


def test_a_stack_is_named_with_its_client_or_by_an_option(shell: Shell) -> None:
    shell.declare()
    by_name = shell.json("state", "get", NAME)
    by_option = shell.json("state", "get", samples.STACK, "--client-id", samples.CLIENT)
    assert by_name == by_option
    assert "healthy" in shell.told("state", "get", NAME) or "reconciling" in shell.told(
        "state", "get", NAME
    )
    assert "has no stack" in shell.told("state", "get", samples.STACK, code=3)
    shell.told("state", "get", NAME, "--client-id", "other", code=2)


def test_a_rollback_pins_and_an_unpinned_stack_takes_new_versions(shell: Shell) -> None:
    shell.declare()
    shell.declare(CHANGED)
    done = shell.told("rollback", NAME, "--to", "v1.0.0", "--reason", "broken")
    assert "~ resource/site" in done
    assert "helios unpin" in shell.told("apply", "-f", shell.file(CHANGED), code=3)
    shell.told("unpin", NAME, "--reason", "fixed")
    shell.declare(CHANGED)
    shell.told("pin", NAME, "--reason", "release")
    assert "v1.0.0" in shell.told("history", NAME)
    shell.told("rollback", NAME, "--reason", "x", code=2)


def test_a_check_has_an_exit_code_for_clean_drift_unknown_and_error(shell: Shell) -> None:
    assert "no stacks" in shell.told("drift", "check")
    shell.declare()
    unknown = shell.told("drift", "check", NAME, code=3)
    assert "not looked at" in unknown
    shell.say([samples.moved(samples.drift(now()))])
    drifting = shell.told("drift", "check", code=2)
    assert "integration/cms-webhook#/url  webhook_broken (medium)" in drifting
    found = shell.json("drift", "check", NAME, code=2)
    assert found["outcome"] == "drift"
    shell.told("drift", "check", NAME, "--ignore", "integration/*", code=3)
    assert "has no stack" in shell.told("drift", "check", "none", code=1)
    assert "No such option" in shell.told("drift", "check", "--colour", code=1)


def test_a_drift_is_listed_explained_and_answered(shell: Shell) -> None:
    shell.declare()
    shell.say([samples.moved(samples.drift(now()))])
    assert samples.DRIFT in shell.told("drift", "list", NAME)
    shown = shell.told("drift", "show", NAME, samples.DRIFT)
    assert ("probe:strapi" in shown, "user:eve" in shown) == (True, True)
    story = shell.told("drift", "explain", NAME, samples.DRIFT)
    assert 'should be "https://h.example.com/webhook/cms" and is' in story
    assert "brought about by user:eve through webhook (event 7)" in story
    shell.told("drift", "ack", NAME, samples.DRIFT, "--reason", "INC-142")
    assert "acknowledged" in shell.told("drift", "list", NAME)
    shell.told("drift", "false-positive", NAME, samples.DRIFT)
    assert "no drift" in shell.told("drift", "list", NAME)
    assert "false_positive" in shell.told("drift", "list", NAME, "--all")
    assert "is over" in shell.told("drift", "ack", NAME, samples.DRIFT, code=3)


def test_differences_are_ignored_with_a_reason_and_no_more(shell: Shell) -> None:
    shell.declare()
    assert "nothing is ignored" in shell.told("drift", "ignore", NAME)
    rule = ("--component", "resource/site", "--id", "site")
    shell.told("drift", "ignore", NAME, *rule, code=2)
    shell.told("drift", "ignore", NAME, *rule, "--reason", "known")
    assert "resource/site" in shell.told("drift", "ignore", NAME)
    shell.told("drift", "ignore", NAME, "--remove", code=2)
    shell.told("drift", "ignore", NAME, "--remove", "--id", "site")
    assert "nothing is ignored" in shell.told("drift", "ignore", NAME)
    shell.say([samples.moved(samples.drift(now()))])
    shell.told("drift", "baseline", NAME, "--reason", "as it was handed over")


def test_a_plan_is_printed_as_people_know_it_and_agreed_to_by_its_digest(shell: Shell) -> None:
    shell.say(samples.planned(now()))
    listed = shell.told("approvals", "list")
    assert samples.APPROVAL in listed
    of = ("--client-id", samples.CLIENT)
    shown = shell.told("approvals", "show", samples.APPROVAL, *of)
    assert "~ integration/cms-webhook" in shown
    assert '"https://elsewhere.example.com" -> "https://h.example.com/webhook/cms"' in shown
    assert "Plan: 0 to add, 1 to change, 0 to replace." in shown
    assert "0 of 1 agreed" in shown
    assert "Would run at once\n" in shown
    wrong = ("--reason", "x", "--digest", "00000000")
    assert "digest" in shell.told("approve", samples.APPROVAL, *of, *wrong, code=3)
    shell.told("approve", samples.APPROVAL, *of, "--reason", "x", "--yes", code=2)
    shell.told("approve", samples.APPROVAL, *of, "--reason", "x", text="n\n", code=130)
    good = ("--reason", "as discussed", "--digest", samples.DIGEST[:8], "--yes")
    shell.told("approve", samples.APPROVAL, *of, *good)
    assert "granted, " in shell.told("approvals", "show", samples.APPROVAL, *of)
    shell.told("reject", samples.APPROVAL, *of, code=3)
    shell.told("approvals", "revoke", samples.APPROVAL, *of, "--reason", "no need")
    assert "nothing waits" in shell.told("approvals", "list")
    assert "nothing waits" not in shell.told("approvals", "list", "--status", "all")


def test_a_plan_is_carried_out_by_its_id_or_refused_with_what_to_do(shell: Shell) -> None:
    void = events.PlanVoided(plan_id=samples.PLAN, code="plan_stale", detail="it has changed")
    shell.say([*samples.planned(now()), (events.PLAN_VOIDED, void)])
    of = ("--client-id", samples.CLIENT)
    assert f"helios plan {NAME}" in shell.told("apply-plan", samples.PLAN, *of, code=3)
    assert "has no plan" in shell.told("apply-plan", "none", *of, code=3)
    assert "helios pause" in shell.told("cancel-plan", NAME, code=3)


def test_what_would_be_done_is_shown_without_a_server_and_nothing_is_done(shell: Shell) -> None:
    page = shell.folder / "page.html"
    text = samples.DECLARATION[: samples.DECLARATION.index("  providers:")]
    text += '  resources:\n    page: {kind: file, path: page.html, expects: {content: "x"}}\n'
    shell.declare(text)
    drift = samples.drift(
        now(),
        type="resource",
        cause="resource_missing",
        component="resource/page",
        path="",
        expected={"healthy": True, "text": "x"},
        observed=None,
    )
    assert "nothing to do" in shell.told("plan", NAME)
    shell.say([samples.moved(drift)])
    shown = shell.told("plan", NAME, "--dry-run")
    assert "+ resource/page" in shown, shown
    assert "1 to add" in shown
    assert "apply-plan" not in shown, "it was not kept"
    kept = shell.told("plan", NAME, "--exit-code", code=2)
    assert "helios apply-plan" in kept
    assert "nothing to do" in shell.told("plan", NAME, "--except", "resource/page")
    assert "resource/page" in shell.told("plan")
    assert not page.exists()


@pytest.mark.parametrize(
    ("until", "line"),
    [
        (None, "Would run once somebody has seen to what blocks it"),
        (clocks.Timestamp(1_767_323_045_000_000), "Would run at 2026-01-02T03:04:05Z"),
    ],
)
def test_a_plan_says_when_it_would_run_and_what_blocks_it(
    until: clocks.Timestamp | None, line: str
) -> None:
    blocker = model.Blocker(
        code="window_closed", detail="the night is over", until=until, remedy="wait"
    )
    plan = samples.plan(clocks.Timestamp(0), blockers=(blocker,))
    shown = "\n".join(plan_text.lines(plans.plan(plan)))
    assert line in shown
    assert "Blocked: window_closed: the night is over" in shown
    assert "needs approval, blocked" in shown


def test_a_plan_is_given_up(shell: Shell) -> None:
    shell.say(samples.planned(now()))
    shell.told("cancel-plan", NAME, "--reason", "we look ourselves")
    assert "acknowledged" in shell.told("drift", "list", NAME)


def test_a_stack_is_paused_for_a_while_and_resumed(shell: Shell) -> None:
    shell.declare()
    shell.told("pause", NAME, "--for", "2h", "--reason", "we move")
    held = shell.json("state", "get", NAME)["suspended"]
    assert (held["mode"], held["reason"], held["actor"]) == ("heal_only", "we move", "user:ada")
    both = ("--for", "2h", "--until", "2999-01-01T00:00:00Z", "--reason", "x")
    shell.told("pause", NAME, *both, code=2)
    shell.told("pause", NAME, "--until", "2h", "--reason", "we move")
    assert shell.json("state", "get", NAME)["suspended"]["until"] > held["until"]
    shell.told("pause", NAME, "--until", "tomorrow", "--reason", "x", code=2)
    shell.told("resume", NAME)
    assert shell.json("state", "get", NAME)["suspended"] is None


def test_a_reconciliation_is_asked_for_and_not_waited_for_without_a_server(shell: Shell) -> None:
    shell.declare()
    asked = shell.json("reconcile-stack", NAME, "--no-wait", "--no-heal")
    assert asked["reconciliation_id"]
    late = shell.told("reconcile-stack", NAME, "--timeout", "10ms", code=3)
    assert "no server runs here" in late


def test_waiting_ends_when_a_condition_holds_or_in_time(shell: Shell) -> None:
    shell.declare()
    late = shell.told("wait", NAME, "--for", "InSync", "--timeout", "10ms", code=3)
    assert f"helios state get {NAME}" in late
    held = model.Condition(type="InSync", status="True", reason="AsDeclared")
    said = events.Conditions(status="healthy", conditions=(held,), observed_generation=1)
    shell.say([(events.CONDITIONS_CHANGED, said)])
    assert "AsDeclared" in shell.told("wait", NAME, "--for=InSync")
    shell.told("wait", NAME, "--for=Happy", code=2)


def test_a_policy_is_tested_and_set(shell: Shell) -> None:
    file = shell.file(POLICY, "policy.yaml")
    result = CliRunner().invoke(cli.main, ["policy", "test", file])
    assert result.exit_code == 0, result.output
    modes = {line.split()[0]: line.split()[2] for line in result.output.splitlines()[1:13]}
    assert (modes["webhook_broken"], modes["resource_missing"]) == ("heal", "warn")
    shell.declare()
    assert "no policy is declared" in shell.told("policy", "get", NAME)
    assert "valid" in shell.told("policy", "set", NAME, file, "--dry-run")
    assert "declared" in shell.told("policy", "set", NAME, file)
    broken = shell.file(POLICY.replace("enabled", "enabeld"), "broken.yaml")
    assert "broken.yaml:5" in shell.told("policy", "set", NAME, broken, code=2)


def test_guards_are_listed_and_changed(shell: Shell) -> None:
    assert "nothing stands in the way" in shell.told("guards", "list")
    shell.told("guards", "kill-switch", "on", "--reason", "we do not understand it")
    assert "KILL SWITCH for all clients by user:ada" in shell.told("guards", "list")
    shell.told("guards", "kill-switch", "off", "--reason", "understood")
    of = ("--client-id", samples.CLIENT)
    shell.told("guards", "freeze", *of, "--for", "1h", "--reason", "sale")
    assert "healing suspended" in shell.told("guards", "list", *of)
    shell.told("guards", "unfreeze", *of)
    night = ("--schedule", "0 22 * * *", "--duration", "6h")
    shell.told("guards", "windows", "add", "night", "allow", *night)
    assert "night" in shell.told("guards", "windows", "list")
    assert "duration" in shell.told(
        "guards",
        "windows",
        "add",
        "x",
        "deny",
        "--schedule",
        "0 1 * * *",
        "--duration",
        "?",
        code=2,
    )
    shell.told("guards", "windows", "remove", "night")
    assert "no windows" in shell.told("guards", "windows", "list")
    scope = "stack:cms-ecom-prod"
    shell.told("guards", "breakers", "force", scope, "open", *of, "--for", "1h", "--reason", "x")
    assert "forced_open" in shell.told("guards", "breakers", "list", *of)
    shell.told("guards", "breakers", "reset", scope, *of)
    assert "all breakers are closed" in shell.told("guards", "breakers", "list", *of)
    assert "unchanged" in shell.told("guards", "fuse", "reset", *of, "--reason", "x")


def test_environments_are_compared_with_an_exit_code(shell: Shell) -> None:
    shell.declare()
    other = (
        CHANGED.replace(samples.STACK, "cms-ecom-staging")
        .replace("environment: prod", "environment: staging")
        .replace("[entry.publish]", "[entry.publish, entry.update]")
    )
    shell.told("apply", "-f", shell.file(other))
    staging = f"{samples.CLIENT}/cms-ecom-staging"
    shown = shell.told("env", "compare", staging, samples.STACK, code=1)
    assert "/events" in shown
    assert "not fit to be promoted" in shell.told("env", "promote", staging, samples.STACK, code=3)


def test_every_verb_about_stacks_has_an_example_or_says_what_it_does() -> None:
    for name in ("apply", "plan", "apply-plan", "heal", "approve", "reject", "rollback", "pause"):
        shown = CliRunner().invoke(cli.main, [name, "--help"]).output
        assert f"helios {name}" in shown, name
