"""Every vector of the shared set over HTTP to a running server: once, again, fifty at once."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helios.ingest import captured, captured_options, explain
from helios.kernel import clock as clocks
from helios.kernel import jsonio

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("HELIOS_SHARED", ROOT.parent / "shared")) / "vectors"
FILES = sorted(
    file for file in FOLDER.glob("*/*.json") if file.parent.name != "schema-compat"
)  # fmt: skip
AT_ONCE = 50
NOW = clocks.Timestamp(1_731_723_130 * clocks.SECOND_US)
KILLED = ("sw-s01", "github-s01", "shopify-s01", "woo-s01", "paypal-s01")
"""One of each way to tell that an event was there before."""

_DOOR = re.compile(r"/webhook/([a-w][a-z-]+)(?:\?|$)")


class Vector:
    """A file, and the source that it is for."""

    def __init__(self, file: Path) -> None:
        self.id = file.stem
        self.read = captured.read(file.read_bytes(), file=file.name)
        self.setting = captured.setting(self.read, file=file.name)
        self.now = NOW if self.setting.now is None else self.setting.now
        wanted = jsonio.parse_object(file.read_bytes())["expect"]
        self.outcome: str = wanted["outcome"]
        self.explained = explain.explain(self.read, self.now, file=file.name)
        # Contentful signs the path, so the source has the name that stands there.
        door = _DOOR.match(self.setting.delivery.path)
        self.source = door[1] if door else f"v-{self.id.lower()}"

    def declared(self, gatekit: Any) -> Any:
        setting, config = self.setting, self.read.config
        options, _ = captured_options.read(
            setting.provider, self.read.scheme, config, secrets=bool(setting.source.secrets)
        )
        credentials = {n: s.reveal() for n, s in setting.source.credentials.items()}
        if setting.provider.name == "snipcart":
            credentials.setdefault("api_key", b"of the test")
        return gatekit.Source(
            self.source,
            setting.provider.name,
            [secret.reveal() for secret in setting.source.secrets],
            options,
            credentials,
        )

    def request(self, gatekit: Any) -> Any:
        delivery = self.setting.delivery
        _, mark, query = delivery.path.partition("?")
        headers = [(n, v.encode("latin-1").decode("latin-1")) for n, v in delivery.headers]
        path = f"/webhook/{self.source}{mark}{query}"
        return gatekit.Request(path, headers, delivery.body, delivery.method)


@pytest.fixture(scope="module")
def vectors() -> list[Vector]:
    if not FILES:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no vectors at {FOLDER}")
        pytest.skip(f"no vectors at {FOLDER}: set HELIOS_SHARED to the folder that holds them")
    return sorted((Vector(file) for file in FILES), key=lambda vector: (vector.now, vector.id))


def prepared(world: Any, gatekit: Any, vectors: list[Vector]) -> None:
    documents: dict[str, str] = {}
    for vector in vectors:
        documents |= {u: d.body.decode() for u, d in vector.setting.documents.items()}
    world.set_documents(documents)
    world.set_now(vectors[0].now)
    declared = {vector.source: vector.declared(gatekit) for vector in vectors}
    world.declare(*declared.values())


@pytest.fixture(scope="module")
def world(
    gatekit: Any, vectors: list[Vector], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    with gatekit.world(tmp_path_factory.mktemp("vectors")) as made:
        prepared(made, gatekit, vectors)
        yield made


@pytest.mark.shared_data
def test_every_vector_over_http_is_one_event_or_none(
    world: Any, gatekit: Any, vectors: list[Vector]
) -> None:
    for vector in vectors:
        world.set_now(vector.now)
        request = vector.request(gatekit)
        policy = vector.setting.provider.answers
        before, asked = len(world.events()), len(world.asked)
        answers = [world.post(request) for _ in range(2)]
        answers += world.post_together(request, AT_ONCE)
        statuses = {answer.status for answer in answers}
        found = world.events()[before:]
        assert vector.outcome == vector.explained.outcome, vector.id
        if vector.outcome == "accept":
            assert statuses == {policy.stored}, vector.id
            assert [event["source"] for event in found] == [vector.source], vector.id
        elif vector.outcome == "handshake":
            told = vector.explained.response
            assert statuses == {told.status}, vector.id
            for answer in answers:
                assert jsonio.parse(answer.body) == told.json, vector.id
                given = {name.lower(): value for name, value in told.headers.items()}
                assert given.items() <= answer.headers.items(), vector.id
            assert found == [], vector.id
        else:
            assert statuses == {policy.unauthenticated}, vector.id
            assert found == [], vector.id
        assert set(world.asked[asked:]) <= set(vector.setting.documents), vector.id
    refused, received = (
        world.total(f"helios_ingest_{name}_total") for name in ("refused", "received")
    )
    rejects = sum(vector.outcome == "reject" for vector in vectors)
    assert refused == rejects * (2 + AT_ONCE)
    assert received == len(vectors) * (2 + AT_ONCE)


@pytest.mark.shared_data
def test_killed_between_append_and_answer_a_vector_is_one_event(
    gatekit: Any, vectors: list[Vector], tmp_path: Path
) -> None:
    chosen = [vector for vector in vectors if vector.id in KILLED]
    assert {vector.id for vector in chosen} == set(KILLED)
    with gatekit.world(tmp_path) as world:
        prepared(world, gatekit, chosen)
        for vector in chosen:
            world.set_now(vector.now)
            request = vector.request(gatekit)
            (tmp_path / "kill").touch()
            assert world.exchange(request.raw) == b""
            world.died()
            (tmp_path / "kill").unlink()
            world.start()
            assert len(world.events(vector.source)) == 1, vector.id
            again = world.post(request)
            assert again.status == vector.setting.provider.answers.stored, vector.id
            assert again.results == ["duplicate"], vector.id
            assert len(world.events(vector.source)) == 1, vector.id
