"""`helios users`, `tokens`, `login`: what is wrong with a call is said before anybody is asked."""

import asyncio
import json
from pathlib import Path
from typing import Any

import click
import pytest
from click import testing

from helios import app
from helios.cli import access, login, users
from helios.kernel import errors, settings


def _run(verb: click.Command, *arguments: str, given: str = "") -> testing.Result:
    return testing.CliRunner().invoke(verb, arguments, input=given)


@pytest.mark.parametrize(
    ("verb", "arguments", "remedy"),
    [
        (access.tokens, ["issue", "ci"], "--grant operator@acme"),
        (users.users, ["change", "olga"], "users change --help"),
        (users.users, ["change", "olga", "--group", "a", "--no-groups"], "say that there are none"),
        (users.users, ["change", "olga", "--grant", "viewer", "--no-grants"], "there are none"),
        (login.login, [], "--name"),
        (login.login, ["--from-stdin"], "--name"),
    ],
)
def test_a_call_that_lacks_something_says_what(
    verb: click.Command, arguments: list[str], remedy: str
) -> None:
    done = _run(verb, *arguments)
    assert done.exit_code == 2
    assert remedy in done.output


@pytest.mark.parametrize(
    ("verb", "arguments", "what"),
    [
        (login.login, ["--link"], "the link"),
        (login.login, ["--name", "olga"], "the password"),
        (users.users, ["password", "olga"], "the new password"),
    ],
)
def test_what_cannot_be_typed_is_named(
    verb: click.Command, arguments: list[str], what: str
) -> None:
    error = _run(verb, *arguments).exception
    assert isinstance(error, errors.InvalidInputError)
    assert f"to type {what} at" in error.message


def test_a_user_leaves_all_groups_of_approvers(tmp_path: Path) -> None:
    data = tmp_path / "data"

    async def created() -> None:
        async with app.opened(settings.Settings(data_dir=data), briefly=True):
            pass

    def run(*arguments: str) -> Any:
        done = _run(users.users, *arguments, "--data-dir", str(data), "-o", "json")
        assert done.exit_code == 0, done.output
        return json.loads(done.output)

    asyncio.run(created())
    made = run("invite", "olga", "--no-password", "--grant", "approver", "--group", "on-call")
    assert made["groups"] == ["on-call"]
    assert run("change", "olga", "--no-groups")["groups"] == []
