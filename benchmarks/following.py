"""How soon one server acts on what was changed at another: settings, and sessions that end.

    python benchmarks/following.py             100 changes of each kind
    python benchmarks/following.py --quick     five

Two servers on one PostgreSQL database, which the script starts for itself. Each change is made at
one of them and asked for at the other until it shows there; an idle server answers such a question
in the time that stands beside it.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "log")]

import measure  # noqa: E402
import run as log_run  # noqa: E402

from helios.access import local  # noqa: E402
from helios.testing import real_processes  # noqa: E402

FOLLOWED_S_MAX = 2.0
DEADLINE_S = 60.0
CHANGES, CHANGES_QUICK = 100, 5
PASSWORD = "correct horse battery staple"


def until(condition: Callable[[], bool]) -> float:
    """Seconds until it holds."""
    begin = time.perf_counter()
    while not condition():
        if time.perf_counter() - begin > DEADLINE_S:
            raise RuntimeError(f"not followed within {DEADLINE_S:g} s")
        time.sleep(0.005)
    return time.perf_counter() - begin


def server(stack: ExitStack, folder: Path, url: str) -> httpx.Client:
    """One more server over the database, and somebody who may do everything there."""
    data = folder / "data"
    process = real_processes.Helios(
        data,
        port=real_processes.free_port(),
        options=["--database-url", url, "--log-level", "warning"],
        env={"HELIOS_AUTH": "on"},
    )
    folder.mkdir()
    stack.enter_context(process)
    headers = {"Authorization": f"Bearer {local.read(data)}"}
    return stack.enter_context(httpx.Client(base_url=process.url, headers=headers, timeout=60))


def done(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        raise RuntimeError(answer.text)
    return answer


def settings(here: httpx.Client, there: httpx.Client, changes: int) -> list[float]:
    """Seconds until the other server acts on each change of a setting."""

    def window() -> float:
        asked = {"command_type": "reconcile_client", "client_id": "acme"}
        made = done(there.post("/api/v1/commands", json=asked)).json()
        return float(made["commands"][0]["consistency_window"])

    took = []
    for number in range(changes):
        wanted = 6 + number % 2
        changed = {"value": f"{wanted}s", "reason": "measured"}
        done(here.put("/api/v1/configuration/stacks.consistency_window", json=changed))
        took.append(until(lambda wanted=wanted: window() == wanted))  # type: ignore[misc]
    return took


def sessions(here: httpx.Client, there: httpx.Client, changes: int) -> list[float]:
    """Seconds until the other server refuses each session that was ended."""
    person = {"name": "ada", "password": PASSWORD, "grants": [{"role": "viewer"}]}
    done(here.post("/api/v1/users", json=person))
    took = []
    for _ in range(changes):
        with httpx.Client(base_url=here.base_url, timeout=60) as her:
            signed = {"name": "ada", "password": PASSWORD}
            done(her.post("/api/v1/auth/login", json=signed))
            csrf = {"X-Helios-CSRF": str(her.cookies["helios_csrf"])}
            token = {"Authorization": f"Bearer {her.cookies['helios_access']}"}

            def asked(token: dict[str, str] = token) -> int:
                url = f"{there.base_url}/api/v1/auth/me"
                return httpx.get(url, headers=token, timeout=60).status_code

            until(lambda: asked() == 200)
            done(her.post("/api/v1/auth/logout", headers=csrf))
            took.append(until(lambda: asked() == 401))
    return took


def idle(there: httpx.Client) -> float:
    """Seconds of a question, the median of twenty."""
    took = []
    for _ in range(20):
        begin = time.perf_counter()
        done(there.get("/api/v1/auth/me"))
        took.append(time.perf_counter() - begin)
    return statistics.median(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    changes = CHANGES_QUICK if quick else CHANGES
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)
        url = f"{stack.enter_context(log_run.postgres(Path(folder)))}/ours"
        here, there = (server(stack, Path(folder) / name, url) for name in ("a", "b"))
        usual = idle(there)
        found = {
            "a setting changed": settings(here, there, changes),
            "a session ended": sessions(here, there, changes),
        }
    print(f"{measure.machine()}; an idle server answers in {usual * 1_000:.1f} ms\n")
    rows = [
        (what, measure.number(statistics.median(took)), measure.number(max(took)))
        for what, took in found.items()
    ]
    print(measure.table(("followed", "median s", "longest s"), rows))
    figures = [
        measure.verdict(f"{what} here, acted on there, s", max(took), FOLLOWED_S_MAX, at_most=True)
        for what, took in found.items()
    ]
    print(f"\n{measure.table(('figure', 'measured', 'must', ''), figures)}")
    sys.exit(any(row[-1] == "MISSED" for row in figures) and not quick)


if __name__ == "__main__":
    main()
