"""The script that starts a private Kafka broker."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.kafka

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "kafka.py"


@pytest.fixture
def folder(kafka_script: ModuleType, tmp_path: Path) -> Iterator[Path]:
    if not kafka_script.find_jars():
        pytest.skip("no Kafka here: run `scripts/kafka.py install`")
    yield tmp_path / "broker"
    kafka_script.stop(tmp_path / "broker")


def run(verb: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), verb, "--folder", str(folder), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


def test_a_broker_starts_once_keeps_its_port_and_leaves_nothing(folder: Path) -> None:
    assert run("status", folder).returncode == 3
    first = run("start", folder)
    assert first.returncode == 0, first.stderr
    address = first.stdout.strip()
    assert address.startswith("127.0.0.1:")
    assert run("start", folder).stdout.strip() == address
    assert run("restart", folder, "--gently").stdout.strip() == address
    assert run("status", folder).stdout.strip() == address
    assert run("stop", folder).returncode == 0
    assert not folder.exists()
    assert run("stop", folder).returncode == 0


def test_a_folder_of_somebody_else_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    (folder / "precious").write_text("data")
    refused = run("start", folder)
    assert refused.returncode == 1
    assert "is not empty" in refused.stderr
    assert run("stop", folder).returncode == 0
    assert (folder / "precious").read_text() == "data"


def test_the_pom_names_no_registry_and_pins_every_version(kafka_script: ModuleType) -> None:
    pom = kafka_script.POM.read_text()
    assert "<repositor" not in pom
    assert "<mirror" not in pom
    assert pom.count("<version>") == pom.count("<artifactId>")
