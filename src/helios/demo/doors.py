"""Posts to the doors of Helios as the senders of webhooks would, each with its own proof."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib import parse as urls

import httpx
import msgspec

from helios.demo import envelopes, shop
from helios.demo.clouds import tokens
from helios.kernel import clock as clocks
from helios.kernel import errors

AT_ONCE = 16
"""Deliveries under way of one batch."""

RETRY_S = 0.25
TIMEOUT_S = 30.0
TRIES = 5
"""A delivery that gets no answer is sent so often, with pauses that double; then the demo ends."""

TOKEN_S = 1_800.0
"""A token is used for so long before another one is signed."""

_BUSY = (429, 503)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a door said.

    Attributes:
        position: of what was appended, 0: nothing.
        results: of each event, where the sender wants a body: `stored`, `duplicate`, `dead`.
        tries: how often it was sent; each but the last may have been taken all the same.
    """

    status: int
    position: int = 0
    results: tuple[str, ...] = ()
    tries: int = 1


class _Body(msgspec.Struct):
    results: list[str] = []


_body = msgspec.json.Decoder(_Body).decode


class Senders:
    """The three clouds, and whoever else posts.

    Args:
        url: of the server.
        folder: where keys are kept that the server has to know.
        clock: for tokens and pauses.

    Attributes:
        repeated: events that were sent once more because nobody answered, so that they may have
            been there already.
    """

    def __init__(self, url: str, folder: Path, *, clock: clocks.Clock) -> None:
        self.repeated = 0
        self._clock = clock
        self._keys = {cloud: _kept(folder, cloud) for cloud in ("aws", "azure")}
        self._folder = folder
        self._signer = tokens.Signer(clock)
        self._token: tuple[float, str] | None = None
        self._room = asyncio.Semaphore(AT_ONCE)
        limits = httpx.Limits(max_connections=AT_ONCE * 2)
        self._http = httpx.AsyncClient(
            base_url=url, timeout=TIMEOUT_S, trust_env=False, limits=limits
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    def declarations(self) -> str:
        """The sources of the three clouds, as YAML documents."""
        return envelopes.declarations(str(self._folder), self._signer.jwks())

    async def deliver(self, batch: Sequence[shop.Delivery]) -> int:
        """Deliver events; the position after which all can be seen.

        Raises:
            HeliosError: a door refused one, or nobody answers.
        """
        answers = await asyncio.gather(*(self._delivered(p) for p in envelopes.posts(batch)))
        return max((each.position for each in answers), default=0)

    async def _delivered(self, post: envelopes.Post) -> Answer:
        async with self._room:
            while True:
                answer = await self.send(post.source, post.body, post.headers)
                self.repeated += post.events * (answer.tries - 1)
                if answer.status not in _BUSY:
                    break
                await self._clock.sleep(RETRY_S)
        dead = [each for each in answer.results if each not in ("stored", "duplicate")]
        if answer.status >= 300 or dead:
            said = dead[0] if dead else answer.status
            raise errors.HeliosError(f"the door of {post.source} did not take an event: {said}")
        return answer

    async def send(self, source: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post to the door of a cloud, with its proof unless `headers` hold one."""
        path = f"/webhook/{source}/{shop.CLIENT}"
        proof: dict[str, str] = {}
        if source == "aws":
            proof = {envelopes.KEY_HEADER: self._keys["aws"]}
        elif source == "gcp":
            proof = {"authorization": f"Bearer {self._pushed_by()}"}
        elif source == "azure":
            code = headers.get("code", self._keys["azure"])
            path += f"?{urls.urlencode({'code': code})}"
        sent = {**proof, **{name: value for name, value in headers.items() if name != "code"}}
        return await self.post(path, body, sent)

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post anything anywhere on the server, once more where no answer comes.

        All that is sent has ids, or is the same letter when it comes twice.

        Raises:
            HeliosError: nobody answers, however often one asks.
        """
        for tries in range(1, TRIES + 1):
            try:
                answer = await self._http.post(path, content=body, headers=dict(headers))
            except httpx.HTTPError as error:
                if tries == TRIES:
                    raise errors.HeliosError(f"nobody answers at {path}: {error!r}") from error
                await self._clock.sleep(RETRY_S * 2 ** (tries - 1))
            else:
                break
        return Answer(
            status=answer.status_code,
            position=int(answer.headers.get("helios-position", 0)),
            results=_results(answer),
            tries=tries,
        )

    def _pushed_by(self) -> str:
        now = self._clock.monotonic()
        if self._token is None or now - self._token[0] > TOKEN_S:
            account = envelopes.SERVICE_ACCOUNT
            self._token = (now, self._signer.token(audience=envelopes.AUDIENCE, email=account))
        return self._token[1]


def _results(answer: httpx.Response) -> tuple[str, ...]:
    if not answer.is_success or not answer.content:
        return ()
    try:
        return tuple(_body(answer.content).results)
    except msgspec.DecodeError:
        return ()


def _kept(folder: Path, name: str) -> str:
    """A key that was made before, or a new one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24))
    return path.read_text()


def kept(folder: Path, name: str) -> Any:
    """A secret of this demo in a file of its own; made when it is not there."""
    return _kept(folder, name)
