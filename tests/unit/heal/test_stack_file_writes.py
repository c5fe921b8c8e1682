"""Files of stacks, written."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from helios.drivers.stackfiles import write
from helios.heal import ports as heal_ports
from helios.reconcile.compositions import composition, ports


def task(
    verb: heal_ports.Verb, path: str, wanted: Mapping[str, Any], **settings: Any
) -> heal_ports.Task:
    resource = composition.Resource(name="config", kind="file", settings={"path": path, **settings})
    return heal_ports.Task(
        verb=verb, client_id="default", stack_id="shop", resource=resource, wanted=wanted
    )


def done(root: Path, what: heal_ports.Task) -> ports.Acted:
    return asyncio.run(write.FileWriter(root).carry_out(what))


def test_a_missing_file_is_written_with_all_that_is_declared(tmp_path: Path) -> None:
    made = task("create", "shop/config.json", {"site.title": "Shop", "mode": "0640"})
    done(tmp_path, made)
    file = tmp_path / "shop" / "config.json"
    assert json.loads(file.read_text()) == {"site": {"title": "Shop"}}
    assert file.stat().st_mode & 0o777 == 0o640
    assert done(tmp_path, made).detail.endswith("was as declared")
    assert [each.name for each in file.parent.iterdir()] == ["config.json"]


def test_a_field_is_set_back_and_the_rest_stays(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"a": 1, "build": {"version": 1, "other": 2}}')
    acted = done(tmp_path, task("update", "config.json", {"build.version": 7}))
    assert json.loads(file.read_text()) == {"a": 1, "build": {"version": 7, "other": 2}}
    assert acted.undo is not None
    done(tmp_path, task("update", "config.json", acted.undo["set"]))
    assert file.read_text() == '{"a": 1, "build": {"version": 1, "other": 2}}'


def test_text_is_set_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "robots.txt").write_text("Disallow: /")
    done(tmp_path, task("update", "robots.txt", {"content": "Allow: /\n"}))
    assert (tmp_path / "robots.txt").read_text() == "Allow: /\n"


def test_a_yaml_document_can_still_be_read(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("title: Shop\npages: 3\n")
    done(tmp_path, task("update", "site.yaml", {"pages": 4}))
    assert json.loads((tmp_path / "site.yaml").read_text()) == {"title": "Shop", "pages": 4}


@pytest.mark.parametrize("path", ["../outside.json", "/etc/passwd", "link/outside.json"])
def test_nothing_is_written_outside_of_the_folder(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    with pytest.raises(ports.HealError) as caught:
        done(root, task("create", path, {"content": "x"}))
    assert caught.value.code == "unsupported"
    assert not (tmp_path / "outside.json").exists()


@pytest.mark.parametrize(
    ("verb", "before", "wanted", "code"),
    [
        ("create", "other", {"content": "mine"}, "precondition_failed"),
        ("create", None, {}, "unsupported"),
        ("update", None, {"content": "x"}, "precondition_failed"),
        ("update", "no json", {"field": 1}, "precondition_failed"),
        ("update", "{}", {"sha256": "0" * 64}, "unsupported"),
        ("rebuild", "{}", {}, "unsupported"),
    ],
)
def test_what_cannot_be_done_leaves_the_file_alone(
    tmp_path: Path, verb: heal_ports.Verb, before: str | None, wanted: dict[str, Any], code: str
) -> None:
    file = tmp_path / "config.json"
    if before is not None:
        file.write_text(before)
    with pytest.raises(ports.HealError) as caught:
        done(tmp_path, task(verb, "config.json", wanted))
    assert (caught.value.code, caught.value.happened) == (code, False)
    assert (file.read_text() if file.exists() else None) == before


def test_a_plan_says_what_would_be_done_and_does_nothing(tmp_path: Path) -> None:
    said = write.FileWriter(tmp_path).plan(task("create", "config.json", {"a": 1}))
    assert said == "write file config.json with a"
    assert not list(tmp_path.iterdir())
