"""Where the values of secrets are found, and that nobody else can read them."""

import os
import stat
from pathlib import Path

import pytest

from helios.drivers.vault import store
from helios.kernel import errors, secret


@pytest.fixture
def vault(tmp_path: Path) -> store.FolderVault:
    return store.FolderVault(tmp_path / "data", {"SET": "from-env", "EMPTY": ""})


def test_each_kind_of_reference_leads_to_its_value(
    vault: store.FolderVault, tmp_path: Path
) -> None:
    file = tmp_path / "mounted"
    file.write_bytes(b"from-file\r\n")
    vault.put("kept", b"from-folder")
    assert vault.find("env:SET") == secret.Secret("from-env")
    assert vault.find(f"file:{file}") == secret.Secret("from-file")
    assert vault.find("secret:kept") == secret.Secret("from-folder")


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("env:UNSET", "set it and start the server again"),
        ("env:EMPTY", "set it and start the server again"),
        ("file:/no/such/file", "it is not there; put it there"),
        ("file:/tmp", "not a file"),
        ("secret:none", "helios secrets set none"),
    ],
)
def test_what_is_missing_is_named_with_its_remedy(
    vault: store.FolderVault, reference: str, says: str
) -> None:
    with pytest.raises(errors.StorageError, match=says) as told:
        vault.find(reference)
    assert reference in str(told.value)


@pytest.mark.parametrize("text", ["hunter2", "secret:../x", "env:A B", "file:a"])
def test_what_is_no_reference_is_not_repeated(vault: store.FolderVault, text: str) -> None:
    with pytest.raises(errors.InvalidInputError) as told:
        vault.find(text)
    assert text not in str(told.value)


def test_a_rotated_file_is_read_again_and_a_replaced_secret_too(
    vault: store.FolderVault, tmp_path: Path
) -> None:
    file = tmp_path / "mounted"
    file.write_bytes(b"one")
    assert vault.find(f"file:{file}").text == "one"
    file.write_bytes(b"two")
    os.utime(file, ns=(1, 1))
    assert vault.find(f"file:{file}").text == "two"
    file.unlink()
    with pytest.raises(errors.StorageError):
        vault.find(f"file:{file}")
    vault.put("kept", b"one")
    assert vault.find("secret:kept").text == "one"
    vault.put("kept", b"two")
    assert vault.find("secret:kept").text == "two"


def test_what_is_kept_is_for_this_user_alone(vault: store.FolderVault, tmp_path: Path) -> None:
    folder = tmp_path / "data" / store.FOLDER
    folder.mkdir(parents=True, mode=0o755)
    before = os.umask(0)
    try:
        vault.put("kept", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir()] == ["kept"]
    assert stat.S_IMODE((folder / "kept").stat().st_mode) == 0o600


def test_secrets_are_listed_and_forgotten_by_name(vault: store.FolderVault) -> None:
    assert vault.names() == []
    vault.put("b", b"x")
    vault.put("a", b"x")
    assert vault.names() == ["a", "b"]
    vault.remove("a")
    assert vault.names() == ["b"]
    with pytest.raises(errors.NotFoundError):
        vault.remove("a")


@pytest.mark.parametrize("name", ["", "../a", ".hidden", "a/b", "a" * 65])
def test_a_name_leads_nowhere_else(vault: store.FolderVault, name: str) -> None:
    with pytest.raises(errors.InvalidInputError):
        vault.put(name, b"x")
    with pytest.raises(errors.InvalidInputError):
        vault.remove(name)


@pytest.mark.parametrize("value", [b"", b"x" * (store.SECRET_BYTES_MAX + 1)])
def test_what_is_no_secret_by_its_size_is_refused(vault: store.FolderVault, value: bytes) -> None:
    with pytest.raises(errors.InvalidInputError):
        vault.put("kept", value)
