import dataclasses
from pathlib import Path
from typing import Any

import pytest

from helios.kernel import errors, settings


def resolve(**given: Any) -> settings.Resolved:
    return settings.resolve(**{"environment": {}, "flags": {}, **given})


def test_the_later_origin_wins_and_is_named(tmp_path: Path) -> None:
    file = tmp_path / "helios.toml"
    file.write_text('port = 1\nhost = "::1"\ndrain_s = 2\n')
    found = resolve(
        file=file,
        environment={"HELIOS_PORT": "2", "HELIOS_DRAIN_S": "2.5", "PATH": "x"},
        flags={"port": 3, "host": None},
    )
    assert (found.settings.port, found.settings.host, found.settings.drain_s) == (3, "::1", 2.5)
    assert found.origins["port"] == "--port"
    assert found.origins["host"] == str(file)
    assert found.origins["drain_s"] == "HELIOS_DRAIN_S"
    assert found.origins["data_dir"] == "default"


@pytest.mark.parametrize(
    ("environment", "field"),
    [
        ({"HELIOS_PROT": "1"}, "prot"),
        ({"HELIOS_PORT": "many"}, "port"),
        ({"HELIOS_LOG_LEVEL": "loud"}, "log_level"),
    ],
)
def test_an_unknown_name_or_value_is_refused_with_its_origin(
    environment: dict[str, str], field: str
) -> None:
    with pytest.raises(errors.InvalidInputError) as caught:
        resolve(environment=environment)
    assert caught.value.field == field
    assert caught.value.source in environment


def test_a_file_that_is_not_there_or_no_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidInputError, match="not there"):
        resolve(file=tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("port = = 1")
    with pytest.raises(errors.InvalidInputError, match="not TOML"):
        resolve(file=broken)
    unknown = tmp_path / "unknown.toml"
    unknown.write_text("[server]\nport = 1")
    with pytest.raises(errors.InvalidInputError, match="unknown setting"):
        resolve(file=unknown)


def test_a_password_is_never_shown() -> None:
    found = resolve(flags={"database_url": "postgresql://u:s3cret@h/d"})
    shown = {name: value for name, value, _ in found.shown()}
    assert shown["database_url"] == "postgresql://u:***@h/d"


def test_every_setting_says_what_it_means() -> None:
    names = {field.name for field in dataclasses.fields(settings.Settings)}
    assert settings.documentation().keys() == names
