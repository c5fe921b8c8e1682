"""The script that starts a private PostgreSQL."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.postgres

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "postgres.py"


@pytest.fixture
def folder(postgres_script: ModuleType) -> Iterator[Path]:
    """A folder that the server's user may enter, which pytest's own is not."""
    if not postgres_script.find_binaries():
        pytest.skip("no PostgreSQL here: run `scripts/postgres.py start` as root to install it")
    with tempfile.TemporaryDirectory(prefix="helios-test-script-") as parent:
        Path(parent).chmod(0o755)
        yield Path(parent) / "server"
        postgres_script.stop(Path(parent) / "server")


def run(verb: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), verb, "--folder", str(folder), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


def test_a_server_starts_once_keeps_its_port_and_leaves_nothing(folder: Path) -> None:
    assert run("status", folder).returncode == 3
    first = run("start", folder)
    assert first.returncode == 0, first.stderr
    url = first.stdout.strip()
    assert url.startswith("postgresql://helios@127.0.0.1:")
    assert run("start", folder).stdout.strip() == url
    assert run("restart", folder).stdout.strip() == url
    assert run("status", folder).stdout.strip() == url
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
