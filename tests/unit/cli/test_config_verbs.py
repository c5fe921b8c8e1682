"""`helios config`: settings read and changed from the command line, over a data folder."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click import testing

from helios import app
from helios.cli import config
from helios.cli import contracts as contract_verbs
from helios.kernel import errors, settings

CONTRACT = """\
apiVersion: helios.io/v1
kind: StreamContract
metadata: {name: order-match}
spec:
  key: payload.orderId
  window: {type: per_key, size: 30s, grace: 5s}
  legs: {order: {type: OrderPlaced}, payment: {type: PaymentProcessed}}
"""


async def _created(data: Path) -> None:
    async with app.opened(settings.Settings(data_dir=data), briefly=True):
        pass


@pytest.fixture
def helios(tmp_path: Path) -> Any:
    """Runs `helios config`; gives what was printed."""
    data = tmp_path / "data"
    file = tmp_path / "contract.yaml"
    file.write_text(CONTRACT)
    asyncio.run(_created(data))
    runner = testing.CliRunner()
    applied = runner.invoke(contract_verbs.contracts, ["apply", str(file), "--data-dir", str(data)])
    assert applied.exit_code == 0, applied.output

    def call(*arguments: str) -> str:
        done = runner.invoke(config.config, [*arguments, "--data-dir", str(data)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.output

    return call


def test_a_setting_is_set_seen_undone_and_its_history_told(helios: Any) -> None:
    said = helios("set", "content.ttl", "2h", "--reason", "a move", "--as", "ada")
    assert said.splitlines()[0] == "content.ttl: 1d -> 2h"
    assert "origin   changed at run time" in helios("get", "content.ttl")
    assert "by user:ada: a move" in helios("get", "content.ttl")
    assert helios("set", "content.ttl", "120m") == "content.ttl is 2h already\n"
    assert helios("undo", "content.ttl").splitlines()[0] == "content.ttl: 2h -> 1d"
    past = json.loads(helios("history", "content.ttl", "-o", "json"))["changes"]
    assert [each["action"] for each in past] == ["undo", "set"]
    assert helios("reset", "content.ttl") == "content.ttl is 1d already\n"


def test_the_list_has_settings_of_contracts_and_only_what_changed_when_asked(helios: Any) -> None:
    table = helios("list")
    assert "contract.order-match.within" in table
    assert "data_dir" not in table
    assert "data_dir" in helios("list", "--all")
    assert helios("list", "--changed") == "nothing was changed\n"
    helios("set", "alerts.per_minute_max", "5")
    changed = json.loads(helios("list", "--changed", "-o", "json"))["settings"]
    assert [(each["name"], each["value"]) for each in changed] == [("alerts.per_minute_max", 5)]


def test_a_dry_run_says_what_would_be(helios: Any) -> None:
    said = helios("set", "contract.order-match.within", "45s", "--dry-run")
    assert said.splitlines()[0] == "contract.order-match.within: 30s would become 45s"
    assert "value    30s" in helios("get", "contract.order-match.within")


def test_wrong_names_and_values_are_errors_with_a_remedy(helios: Any) -> None:
    with pytest.raises(errors.NotFoundError, match=r"did you mean content\.ttl\?"):
        helios("get", "content.tll")
    with pytest.raises(errors.InvalidInputError, match="a duration from 1s to 365d"):
        helios("set", "content.ttl", "900d")
    with pytest.raises(errors.InvalidInputError, match="who comes later has to know why"):
        helios("set", "healing.enabled", "off")
    with pytest.raises(errors.NotFoundError, match="was not changed"):
        helios("undo", "log.level")
    with pytest.raises(errors.NotFoundError, match=r"HELIOS_AUTH.*needs a restart"):
        helios("set", "auth", "off")
    with pytest.raises(errors.ConflictError, match='it is "0"'):
        helios("set", "content.ttl", "2h", "--if-match", "7")


def test_what_a_process_here_would_start_with_is_still_shown(helios: Any) -> None:
    shown = json.loads(helios("show", "-o", "json"))
    assert {"port", "content_ttl_s"} <= {each["setting"] for each in shown}


def test_nothing_in_the_list_of_settings_breaks_its_line(helios: Any) -> None:
    assert "\N{REPLACEMENT CHARACTER}" not in helios("list", "--all")


def test_what_is_watched_is_one_json_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    event = {"eventType": "SettingChanged", "payload": {"name": "content.ttl", "value": "2h"}}
    for _ in range(2):
        config._print(event, "json")
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == [event, event]
