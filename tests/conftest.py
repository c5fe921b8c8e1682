"""What all tests share: where test data lies, and what a skip means.

On a laptop a test whose service or data is absent is skipped and says what it wants. Where
everything must run (`--no-skips`, or CI=true) such a test fails instead: a suite that skips is
green for the wrong reason.
"""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-skips",
        action="store_true",
        default=os.environ.get("CI", "").lower() == "true",
        help="fail a test that would be skipped (default when CI=true)",
    )


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid}\nskipped, but here nothing may be skipped. {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if item.config.getoption("--no-skips"):
        _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if collector.config.getoption("--no-skips"):
        _refuse_skip(report)
    return report


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of the real data sets; HELIOS_SHARED overrides the place beside the checkout."""
    folder = Path(os.environ.get("HELIOS_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}: set HELIOS_SHARED to the folder that holds it")
    return folder
