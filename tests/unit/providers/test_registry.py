"""Finding adapters, and what every one of them has to be."""

import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from helios.kernel import errors, secret
from helios.providers import base, ports, registry

ROOT = Path(__file__).resolve().parents[3]
_each = pytest.mark.parametrize("name", sorted(registry.BUILT_IN))


@_each
def test_an_adapter_is_what_a_provider_is(name: str) -> None:
    provider = registry.get(name)
    assert provider.name == name
    assert provider.title
    assert isinstance(provider.trust, ports.Trust)
    assert {ports.Capability.VERIFY, ports.Capability.PARSE} <= provider.capabilities
    assert provider.Options() is not None
    assert 200 <= provider.answers.stored < 300


@_each
def test_an_adapter_has_the_methods_of_what_it_declares(name: str) -> None:
    provider = registry.get(name)
    for capability, kind in {
        ports.Capability.NORMALISE: ports.Normaliser,
        ports.Capability.LIST_CHANGES: ports.ChangeLister,
        ports.Capability.LIST_IDS: ports.IdLister,
        ports.Capability.WEBHOOKS: ports.HookManager,
        ports.Capability.HEALTH: ports.HealthChecker,
    }.items():
        if registry.can(provider, capability):
            assert isinstance(provider, kind)


@_each
def test_a_source_without_what_verification_needs_is_told_so(name: str) -> None:
    provider = registry.get(name)
    assert isinstance(provider, base.Adapter)
    bare = registry.source(provider, name="s", tenant="t", options={})
    with pytest.raises(errors.InvalidInputError, match=r"^spec\."):
        provider.check(bare)


@_each
def test_an_option_that_nobody_knows_is_refused(name: str) -> None:
    with pytest.raises(errors.InvalidInputError, match=r"^spec\.options"):
        registry.source(registry.get(name), name="s", tenant="t", options={"no_such_option": 1})


def test_the_package_names_the_adapters_that_it_ships() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"][ports.ENTRY_POINTS] == dict(registry.BUILT_IN)


def test_a_source_does_not_show_its_secrets() -> None:
    made = registry.source(
        registry.get("shopify"),
        name="s",
        tenant="t",
        options={"shop": "a.myshopify.com"},
        active=(secret.Secret("very-secret"),),
        credentials={"token": secret.Secret("also-secret")},
    )
    assert "secret" not in repr(made).replace("secrets=", "").replace("Secret(", "")


def test_an_unknown_provider_is_named_with_those_there_are() -> None:
    with pytest.raises(errors.NotFoundError, match=r"'nobody'.*shopify"):
        registry.get("nobody")


def _entry(name: str, value: str) -> metadata.EntryPoint:
    return metadata.EntryPoint(name, value, ports.ENTRY_POINTS)


def test_others_may_bring_adapters_but_not_take_over_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    points = metadata.EntryPoints(
        [
            _entry("theirs", "helios.providers.foxy:Foxy"),
            _entry("shopify", "os:nothing"),
            _entry("broken", "no_such_module:X"),
        ]
    )
    monkeypatch.setattr(metadata, "entry_points", lambda group: points.select(group=group))
    registry.get.cache_clear()
    registry._installed.cache_clear()
    try:
        assert registry.get("theirs").title == "Foxy"
        assert registry.get("shopify").title == "Shopify"
        with pytest.raises(errors.InvalidInputError, match="cannot be loaded"):
            registry.get("broken")
        assert "theirs" in registry.names()
    finally:
        registry.get.cache_clear()
        registry._installed.cache_clear()
