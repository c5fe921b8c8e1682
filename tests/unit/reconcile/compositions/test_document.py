"""Reading `blackwell.yaml`: every field, every short form, every refusal with its place."""

import json
from pathlib import Path

import pytest

from helios.kernel import errors, yamldoc
from helios.reconcile.compositions import (
    composition,
    document,
    kinds,
    policy,
    policy_document,
    schema,
)

EXAMPLES = Path(__file__).parents[4] / "examples" / "stack"
HEAD = "apiVersion: blackwell.io/v1\nkind: Composition\nmetadata: {stack_id: shop}\nspec:\n"
DESIGN = """\
apiVersion: blackwell.io/v1
kind: Composition
metadata: {client_id: acme-corp, stack_id: cms-ecom-prod, environment: prod}
spec:
  providers:
    cms:       {name: strapi, url: "https://cms.test", secret_ref: "env:CMS",
                content_types: [article]}
    ecommerce: {name: shopify, source: shop-in, options: {shop: acme},
                credentials: {api_secret: "secret:shop"}}
    ssg:       {name: eleventy, build: {executor: command, command: [npx, eleventy]}}
  integrations:
    cms-webhook: {provider: cms, events: [entry.publish], url: "https://helios.test/webhook/strapi",
                  enabled: true, headers: {Authorization: "Bearer secret:door"},
                  secret_ref: "env:HOOK", configuration: {retries: 3}}
  resources:
    content_cache_table: {kind: dynamodb_table, name: cache}
    site: {kind: http, url: "https://www.test"}
    build_project_name: {kind: codebuild_project, name: site}
  content:
    article: {min_count: 1, max_age: 7d}
"""


def _parsed(spec: str) -> composition.Composition:
    return document.parse(HEAD + spec)


def _refused(text: str) -> errors.InvalidInputError:
    with pytest.raises(errors.InvalidInputError) as raised:
        document.parse(text, source="blackwell.yaml")
    return raised.value


def test_l_02_the_designs_example_is_read_into_providers_integrations_resources_content() -> None:
    found = document.parse(DESIGN)
    assert (found.client_id, found.stack_id) == ("acme-corp", "cms-ecom-prod")
    assert [each.address for each in found.components()] == [
        "provider/cms",
        "provider/ecommerce",
        "provider/ssg",
        "integration/cms-webhook",
        "resource/build_project_name",
        "resource/content_cache_table",
        "resource/site",
        "content/article",
    ]
    assert found.providers[0].credentials == {"token": "env:CMS"}
    assert found.providers[0].content_types == ("article",)
    assert found.providers[2].build == {"executor": "command", "command": ["npx", "eleventy"]}
    hook = found.integrations[0]
    assert hook.headers == {"authorization": "Bearer secret:door"}
    assert hook.configuration == {"retries": 3}
    assert found.content[0].max_age == 7 * 86_400 * 1_000_000


def test_u_22_the_examples_that_ship_are_read() -> None:
    found = document.parse_file(
        (EXAMPLES / "blackwell.yaml").read_text() + "---\n" + (EXAMPLES / "policy.yaml").read_text()
    )
    assert [type(each) for each in found] == [composition.Composition, policy.Policy]
    assert len({each.stack_id for each in found}) == 1


def test_d_14_a_resource_of_a_well_known_name_is_a_single_text() -> None:
    found = _parsed(
        "  resources:\n"
        "    content_cache_table: cache\n"
        "    content_events_topic: events\n"
        "    integration_api_url: https://api.test\n"
        "    build_project_name: site\n"
    )
    assert {each.name: (each.kind, dict(each.settings)) for each in found.resources} == {
        "content_cache_table": ("dynamodb_table", {"name": "cache"}),
        "content_events_topic": ("sns_topic", {"name": "events"}),
        "integration_api_url": ("integration_api", {"url": "https://api.test"}),
        "build_project_name": ("codebuild_project", {"name": "site"}),
    }


def test_a_single_text_under_another_name_is_refused_with_the_names_there_are() -> None:
    error = _refused(HEAD + "  resources: {queue: orders}")
    assert "content_cache_table" in error.message
    assert error.field == "spec.resources.queue"


def test_a_provider_may_be_a_name_alone() -> None:
    assert _parsed("  providers: {ssg: eleventy}").providers[0].name == "eleventy"


def test_content_may_be_a_list_of_types() -> None:
    found = _parsed("  providers: {cms: strapi}\n  content: [article, page]")
    assert [each.type for each in found.content] == ["article", "page"]
    assert all(each.provider == "cms" and each.matches_cache for each in found.content)


def test_content_is_of_the_provider_that_lists_its_type() -> None:
    found = _parsed(
        "  providers:\n    cms: strapi\n    shop: {name: shopify, content_types: [products]}\n"
        "  content: {products: , article: {}}\n"
    )
    assert {each.type: each.provider for each in found.content} == {
        "article": "cms",
        "products": "shop",
    }


def test_content_that_two_providers_list_has_to_name_one() -> None:
    error = _refused(
        HEAD + "  providers:\n    a: {name: strapi, content_types: [page]}\n"
        "    b: {name: sanity, content_types: [page]}\n  content:\n    page: {min_count: 1}\n"
    )
    assert (error.line, error.field) == (9, "spec.content.page")
    assert "'provider'" in error.message


def test_content_of_no_provider_is_refused() -> None:
    assert "content_types" in _refused(HEAD + "  content: {page: {}}").message


def test_json_is_read_too_and_has_the_same_hash() -> None:
    tree = yamldoc.parse(DESIGN).plain()
    assert document.parse(json.dumps(tree)).hash == document.parse(DESIGN).hash


def test_what_is_compared_stands_beside_the_settings_or_under_expects() -> None:
    beside = _parsed("  resources: {q: {kind: sqs_queue, name: q, visibility_timeout: 30}}")
    below = _parsed(
        "  resources: {q: {kind: sqs_queue, name: q, expects: {VisibilityTimeout: 30}}}"
    )
    spread = _parsed(
        "  resources: {q: {kind: sqs_queue, name: q, attributes: {VisibilityTimeout: 30}}}"
    )
    assert beside.resources[0].expects == {"visibility_timeout": 30}
    assert below.resources[0].expects == spread.resources[0].expects == {"VisibilityTimeout": 30}
    assert beside.resources[0].settings == {"name": "q"}


def test_the_right_status_of_a_page_is_a_setting_and_an_expected_one_is_compared() -> None:
    found = _parsed(
        "  resources: {p: {kind: http, url: 'http://p.test', status: [200, 204], "
        "expects: {status: 200, json: {build.version: '1.2'}}}}"
    )
    assert found.resources[0].settings == {"url": "http://p.test", "status": [200, 204]}
    assert found.resources[0].expects == {"status": 200, "json": {"build.version": "1.2"}}


def test_fields_of_a_file_are_fields_of_its_document() -> None:
    found = _parsed("  resources: {f: {kind: file, path: a.json, json: {a: 1, b.c: true}}}")
    assert found.resources[0].expects == {"a": 1, "b.c": True}
    text = _parsed("  resources: {f: {kind: file, path: a.txt, content: hello}}")
    assert text.resources[0].expects == {"text": "hello"}


@pytest.mark.parametrize(("said", "meant"), [("true", "Enabled"), ("Suspended", "Suspended")])
def test_versioning_of_a_bucket_is_said_as_s3_says_it(said: str, meant: str) -> None:
    found = _parsed(f"  resources: {{b: {{kind: s3_bucket, name: b, versioning: {said}}}}}")
    assert found.resources[0].expects == {"versioning": meant}


def test_a_certificate_may_expire_in_a_duration() -> None:
    found = _parsed("  resources: {c: {kind: tls, host: www.test, expires_in: 14d}}")
    assert found.resources[0].settings == {"host": "www.test", "min_days": 14}


@pytest.mark.parametrize("kind", list(kinds.KINDS))
def test_every_kind_is_read_from_its_main_setting(kind: str) -> None:
    main = kinds.KINDS[kind].main
    value = {"url": "http://x.test", "address": "x.test:1"}.get(main, "x")
    found = _parsed(f"  resources: {{r: {{kind: {kind}, {main}: '{value}'}}}}")
    assert found.resources[0].settings == {main: value}


# -- K-06: refusals ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "field", "line"),
    [
        ("  provider: {}", "spec.provider", 5),
        ("  providers:\n    cms: {name: strapi, uri: x}", "spec.providers.cms.uri", 6),
        ("  resources:\n    q:\n      kind: http\n      url: http://x\n      colour: red",
         "spec.resources.q.colour", 9),
        ("  content: {a: {minimum: 1}}", "spec.content.a.minimum", 5),
        ("  resources: {p: {kind: http, url: 'http://x', expects: {stat: 1}}}",
         "spec.resources.p.expects.stat", 5),
    ],
)  # fmt: skip
def test_k_06_an_unknown_field_is_refused_with_its_path(spec: str, field: str, line: int) -> None:
    error = _refused(HEAD + spec)
    assert (error.source, error.field, error.line) == ("blackwell.yaml", field, line)
    assert "unknown field" in error.message


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("  integrations: {w: {provider: cms}}", "no provider 'cms' in spec.providers (there"),
        ("  resources: {r: {kind: htp, url: 'http://x'}}", "did you mean 'http'?"),
        ("  resources: {r: {url: 'http://x'}}", "field 'kind' is missing"),
        ("  resources: {r: {kind: http}}", "not said where it is: field 'url'"),
        ("  resources: {r: {kind: http, url: 'ftp://x'}}", "expected an address"),
        ("  resources: {r: {kind: http, url: 'http://['}}", "expected an address"),
        ("  resources: {r: {kind: http, url: 'http://x:0'}}", "expected an address"),
        ("  resources: {r: {kind: tcp, host: x, port: 70000}}", "from 1 to 65535"),
        ("  resources: {r: {kind: tls, host: x, depends_on: [resource/b]}}", "no component"),
        ("  resources: {b: {kind: tcp, host: x}, r: {kind: tls, host: x, depends_on: [b]}}",
         "did you mean resource/b?"),
        ("  providers: {cms: strapi, cms: sanity}", "given twice"),
        ("  providers: {cms: strapi}\n  content: [a, a]", "given twice"),
        ("  providers: {a b: strapi}", "is no name"),
        ("  integrations: {w: {provider: cms, headers: {A: x, a: y}}}", "given twice"),
        ("  providers: {cms: {name: x, content_types: [a, a]}}", "given twice"),
        ("  resources: {s: {kind: sqs_queue, name: x, tags: {a: b}, expects: {tags: {}}}}",
         "under 'expects' too"),
        ("  providers: {cms: {name: x, secret_ref: 'env:A', credentials: {token: 'env:B'}}}",
         "give one of them"),
        ("  content: {a: {max_age: 0s}}", "from 1s to 3650d"),
        ("  []", "expected a mapping, found a list"),
        ("  providers: []", "expected a mapping, found a list"),
    ],
)  # fmt: skip
def test_what_does_not_belong_together_is_refused_with_a_remedy(spec: str, said: str) -> None:
    assert said in _refused(HEAD + spec).message


def test_a_circle_of_dependencies_is_refused_and_named() -> None:
    error = _refused(
        HEAD + "  resources:\n"
        "    a: {kind: tcp, host: x, depends_on: [resource/b]}\n"
        "    b: {kind: tcp, host: x, depends_on: [resource/c]}\n"
        "    c: {kind: tcp, host: x, depends_on: [resource/a]}\n"
    )
    assert "depends on itself" in error.message
    assert error.message.count("resource/") == 4
    assert error.line in (6, 7, 8)


def test_many_ways_to_one_component_are_no_circle() -> None:
    layers = [
        f"    n{layer}-{i}: {{kind: tcp, host: x, depends_on: [resource/n{layer - 1}-0, "
        f"resource/n{layer - 1}-1]}}"
        if layer
        else f"    n0-{i}: {{kind: tcp, host: x}}"
        for layer in range(60)
        for i in range(2)
    ]
    assert len(_parsed("  resources:\n" + "\n".join(layers)).resources) == 120


def test_more_components_than_a_stack_may_have_are_refused() -> None:
    spec = "\n".join(f"    r{i}: {{kind: tcp, host: x}}" for i in range(501))
    assert "two stacks" in _refused(HEAD + "  resources:\n" + spec).message


_HOOK = "  providers: {cms: s}\n  integrations: {w: {provider: cms, "


@pytest.mark.parametrize(
    "spec",
    [
        "  providers: {cms: {name: strapi, secret_ref: hunter2hunter2}}",
        "  providers: {cms: {name: strapi, options: {apiToken: hunter2hunter2}}}",
        "  providers: {cms: {name: strapi, options: {deep: [{password: hunter2hunter2}]}}}",
        "  providers: {cms: {name: strapi, url: 'https://u:hunter2hunter2@x.test'}}",
        "  providers: {cms: {name: strapi, url: 'https://x.test/?api_key=hunter2hunter2'}}",
        _HOOK + "headers: {Authorization: Bearer hunter2hunter2}}}",
        _HOOK + "configuration: {client_secret: hunter2hunter2}}}",
        "  resources: {r: {kind: tcp, host: x, credentials: {token: hunter2hunter2}}}",
        "  providers: {cms: {name: strapi, options: {x: sk_test_hunter2hunter2}}}",
        "  resources: {f: {kind: file, path: x, content: 'AKIAHUNTERHUNTER2222'}}",
        "  providers: {ssg: {name: x, build: {executor: site, secrets: {A: hunter2hunter2}}}}",
    ],
)
def test_a_secret_in_plain_text_is_refused_and_not_repeated(spec: str) -> None:
    error = _refused(HEAD + spec)
    assert "env:NAME" in error.message
    assert "hunter2" not in str(error).lower()


def test_a_reference_stands_for_a_secret_wherever_one_may_be() -> None:
    found = _parsed(
        "  providers: {cms: {name: strapi, options: {apiToken: 'env:T'}}}\n"
        "  integrations: {w: {provider: cms, headers: {X-Api-Key: 'secret:k'}, "
        "configuration: {client_secret: 'file:/run/s'}}}\n"
    )
    assert found.integrations[0].headers == {"x-api-key": "secret:k"}


@pytest.mark.parametrize("text", ["", "\n# nothing\n", "---\n", "null"])
def test_an_empty_document_declares_nothing_and_is_refused(text: str) -> None:
    _refused(text)


def test_a_document_of_another_kind_is_refused() -> None:
    error = _refused("apiVersion: helios.io/v1\nkind: Site\nmetadata: {}\nspec: {}\n")
    assert (error.field, error.line) == ("kind", 2)
    assert "Composition" in error.message


def test_characters_that_cannot_be_kept_are_refused() -> None:
    for escape in (r"\0", r"\ud800", r"\x07"):
        assert "cannot be kept" in _refused(f'kind: "a{escape}"').message


# -- files of several documents ------------------------------------------------------------------

POLICY = (
    "apiVersion: blackwell.io/v1\nkind: ReconciliationPolicy\n"
    "metadata: {stack_id: shop}\nspec: {}\n"
)


def test_a_file_may_hold_declarations_and_policies() -> None:
    found = document.parse_file(HEAD + "  providers: {cms: strapi}\n---\n" + POLICY)
    assert isinstance(found[0], composition.Composition)
    assert isinstance(found[1], policy.Policy)
    assert found[0].text.startswith("apiVersion")
    assert document.parse(found[0].text).hash == found[0].hash


def test_two_documents_about_one_stack_are_refused_with_the_line_of_the_second() -> None:
    with pytest.raises(errors.InvalidInputError, match="a second Policy") as raised:
        document.parse_file(POLICY + "---\n" + POLICY)
    assert raised.value.line == 6


@pytest.mark.parametrize("text", ["- a\n", "a: b\n", "kind: Site\n", ""])
def test_a_file_of_something_else_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidInputError):
        document.parse_file(text)


def test_too_many_documents_are_refused() -> None:
    with pytest.raises(errors.InvalidInputError, match="at most 200"):
        document.parse_file("---\na: b\n" * 201)


# -- schema --------------------------------------------------------------------------------------


def test_the_schema_for_editors_takes_the_examples_and_refuses_a_typo() -> None:
    jsonschema = pytest.importorskip("jsonschema_rs")
    valid = jsonschema.validator_for(schema.schema())
    tree = yamldoc.parse((EXAMPLES / "blackwell.yaml").read_text()).plain()
    rules = yamldoc.parse((EXAMPLES / "policy.yaml").read_text()).plain()
    assert valid.is_valid(tree)
    assert valid.is_valid(yamldoc.parse(DESIGN).plain())
    assert valid.is_valid(rules)
    tree["spec"]["resources"]["orders"]["colour"] = "red"
    rules["spec"]["auto_heal"]["enable"] = True
    assert not valid.is_valid(tree)
    assert not valid.is_valid(rules)


def test_the_schema_knows_every_field_that_is_read() -> None:
    spec = schema.of_policy()["properties"]["spec"]["properties"]
    assert set(spec) == set(policy_document.SPEC)
    spec = schema.of_composition()["properties"]["spec"]["properties"]
    assert set(spec) == set(document.SECTIONS)
