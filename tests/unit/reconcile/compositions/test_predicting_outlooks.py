"""How long things last, as those say who are looked at."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any, cast

import pytest

from helios.kernel import clock as clocks
from helios.kernel import outbound
from helios.providers import git_api
from helios.providers import ports as providers
from helios.reconcile.compositions import composition, model
from helios.testing import answering
from helios.testing import observing_bench as bench

EXPIRES_S = 1_900_000_000
EXPIRES = clocks.Timestamp(EXPIRES_S * clocks.SECOND_US)


def token() -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part({'exp': EXPIRES_S})}.c2ln"


def looked_at(folder: Path, credential: str) -> model.Seen:
    """A Strapi that takes any credential, looked at with this one."""

    async def main() -> model.Seen:
        with answering.Server(lambda _: answering.Response(value={"data": []})) as server:
            async with bench.place(folder) as place:
                place.environment["CMS_TOKEN"] = credential
                options = {"base_url": server.url, "content_types": {"article": "articles"}}
                place.declare("cms", "strapi", options, token="env:CMS_TOKEN")
                provider = composition.Provider(role="cms", name="strapi")
                return await bench.seen(place.observer(), provider)

    return asyncio.run(main())


def test_a_credential_that_has_a_date_in_it_tells_when_it_ends(tmp_path: Path) -> None:
    seen = looked_at(tmp_path, token())
    assert seen.outlook == model.Outlook(runs_out={"credential": EXPIRES})
    assert token() not in repr(seen)


def test_a_credential_without_a_date_tells_nothing(tmp_path: Path) -> None:
    assert looked_at(tmp_path, "plain").outlook is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2030-03-17 17:46:40 UTC", EXPIRES),
        ("2030-03-17 18:46:40 +0100", EXPIRES),
        ("", None),
        ("soon", None),
    ],
)
def test_github_tells_when_a_token_ends(text: str, expected: clocks.Timestamp | None) -> None:
    class Host:
        async def probe(self) -> outbound.Answer:
            headers = {
                "x-ratelimit-remaining": "4990",
                "github-authentication-token-expiration": text,
            }
            return outbound.Answer(status=200, headers=headers, body=b"")

    def host(_: providers.Api) -> Any:
        return Host()

    told = asyncio.run(git_api.git_health(host, cast("providers.Api", None)))
    assert (told.quota_left, told.expires_at) == (4990, expected)
