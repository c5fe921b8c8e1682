import pytest

from helios.kernel import errors
from helios.reconcile.builds import site as sites

GOOD = """
apiVersion: helios.io/v1
kind: Site
metadata: {name: blog, client_id: acme}
spec:
  content: {sources: [strapi], types: [article]}
  quiet: 2s
  max_delay: 30s
  build:
    type: command
    command: [npx, eleventy]
    workdir: blog
    env: {NODE_ENV: production}
    secrets: {API_TOKEN: env:BLOG_TOKEN}
  publish: {output: _site, folder: www/blog}
"""


def test_a_declaration_is_read() -> None:
    site = sites.parse(GOOD)

    assert (site.client_id, site.name, site.quiet, site.attempts) == ("acme", "blog", 2_000_000, 3)
    assert site.executor == sites.Command(command=("npx", "eleventy"), workdir="blog")
    assert site.publish == sites.Folder(output="_site", folder="www/blog")
    assert site.content.types == ("article",)


def test_hooks_and_remote_projects_are_read() -> None:
    head = GOOD[: GOOD.index("  build:")]
    hook = sites.parse(head + "  build: {type: webhook, url: env:HOOK}\n")
    project = sites.parse(head + "  build: {type: codebuild, project: p, region: eu-west-1}\n")

    assert hook.executor == sites.Hook(url="env:HOOK")
    assert project.executor == sites.CodeBuild(project="p", region="eu-west-1")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("type: command", "type: comand", "did you mean 'command'"),
        ("workdir: blog", "workdir: ../blog", "without '..'"),
        ("workdir: blog", "workdir: /etc", "below the server's builds_root"),
        ("folder: www/blog", "folder: ~/www", "below the server's builds_root"),
        ("env:BLOG_TOKEN", "geheim", "must not hold the secret itself"),
        ("NODE_ENV: production", "HELIOS_SITE: x", "set by Helios"),
        ("API_TOKEN: env:BLOG_TOKEN", "NODE_ENV: env:X", "stands in env too"),
        ("max_delay: 30s", "max_delay: 1s", "at least the quiet period"),
        ("quiet: 2s", "quiet: soon", "is not a duration"),
        ("name: blog", "name: Blog", "lower case"),
        ("command: [npx, eleventy]", "command: []", "1 to 64 words"),
        ("folder: www/blog", "s3: {bucket: b}", "'region' is missing"),
        ("folder: www/blog", "keep: 2", "either folder or s3"),
        ("quiet: 2s", "quite: 2s", "did you mean 'quiet'"),
        ("output: _site", "output: ./, clean: true", "the work directory itself"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(errors.InvalidInputError) as caught:
        sites.parse(GOOD.replace(old, new), source="blog.yaml")

    assert said in str(caught.value)
    assert caught.value.line is not None
    assert "geheim" not in str(caught.value)


def test_only_what_is_built_here_can_be_published_from_here() -> None:
    text = GOOD[: GOOD.index("  build:")] + (
        "  build: {type: webhook, url: https://host.example/hook}\n"
        "  publish: {output: _site, folder: www}\n"
    )

    with pytest.raises(errors.InvalidInputError, match="published from here"):
        sites.parse(text)
