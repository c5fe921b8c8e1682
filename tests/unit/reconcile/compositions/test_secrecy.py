"""What reaches into the machine: new or changed, it is told apart from the rest."""

import pytest

from helios.reconcile.compositions import document, secrecy

HEAD = """\
apiVersion: blackwell.io/v1
kind: Composition
metadata: {client_id: acme, stack_id: shop, environment: prod}
spec:
"""
PROVIDERS = """\
  providers:
    cms: {name: strapi, url: https://cms.example.com, secret_ref: env:STRAPI_TOKEN}
"""
PLAIN = """\
  resources:
    site: {kind: http, url: https://www.example.com}
"""
HOOK = """\
  integrations:
    door: {provider: cms, events: [entry.publish], url: https://h.example.com/webhook/cms%s}
"""
BUILT = """\
    s: {kind: site, site: www, rebuild: {executor: command, command: [make]}}
"""
SIGNED = HOOK % ", secret_ref: secret:door"
WITH_HEADER = HOOK % ', headers: {authorization: "Bearer secret:door"}'


def reaching(after: str, *before: str) -> list[str]:
    known = [document.parse(HEAD + each) for each in before]
    return secrecy.new_reaches(document.parse(HEAD + after), *known, None)


@pytest.mark.parametrize(
    ("after", "found"),
    [
        (PLAIN, []),
        (PLAIN + "    f: {kind: file, path: a.txt, content: x}\n", ["resource/f"]),
        (PLAIN + BUILT, ["resource/s"]),
        (PROVIDERS, ["provider/cms"]),
        (PROVIDERS + HOOK % "", ["provider/cms"]),
        (PROVIDERS + SIGNED, ["provider/cms", "integration/door"]),
        (PROVIDERS + WITH_HEADER, ["provider/cms", "integration/door"]),
    ],
)
def test_providers_builds_files_and_what_names_secrets_reach_in(
    after: str, found: list[str]
) -> None:
    assert reaching(after) == found
    assert reaching(after, after) == []
    # What another stack has may be had here, too.
    assert reaching(after, PLAIN, after) == []


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("https://cms.", "https://elsewhere.", ["provider/cms", "integration/door"]),
        ("env:STRAPI_TOKEN", "env:OTHER", ["provider/cms", "integration/door"]),
        ("https://h.", "https://elsewhere.", ["integration/door"]),
        ("secret:door", "file:/etc/passwd", ["integration/door"]),
        ("https://www.", "https://other.", []),
    ],
)
def test_what_leads_elsewhere_than_it_did_is_new(old: str, new: str, found: list[str]) -> None:
    text = PROVIDERS + SIGNED + PLAIN
    assert old in text
    assert reaching(text.replace(old, new), text) == found
