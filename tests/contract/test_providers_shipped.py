"""Every adapter that ships says of itself what is so."""

from pathlib import Path

import msgspec
import pytest

from helios.providers import ports, registry
from helios.testing import provider_conformance

SUITES = Path(__file__).parent


@pytest.mark.parametrize("name", sorted(registry.BUILT_IN))
class TestShipped:
    def test_it_can_what_it_declares_and_declares_what_it_can(self, name: str) -> None:
        provider = registry.get(name)
        kinds = provider_conformance.PROTOCOLS
        can = {each for each, kind in kinds.items() if isinstance(provider, kind)}
        assert can == provider.capabilities - {ports.Capability.VERIFY, ports.Capability.PARSE}

    def test_it_is_found_by_its_own_name(self, name: str) -> None:
        assert registry.get(name).name == name

    def test_its_options_have_defaults_and_refuse_what_they_do_not_know(self, name: str) -> None:
        options = registry.get(name).Options
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"no such option": 1}, options)

    def test_what_talks_to_an_api_passes_the_suite(self, name: str) -> None:
        provider = registry.get(name)
        if ports.Capability.HEALTH not in provider.capabilities:
            return
        suites = "".join(each.read_text() for each in SUITES.glob("test_provider_*.py"))
        module = type(provider).__module__.rpartition(".")[2]
        assert f"= {module}.{type(provider).__name__}()" in suites
