"""What a version is called, and how it is found again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.kernel import clock as clocks
from helios.kernel import errors
from helios.reconcile.compositions import composition, stack, versions

CMS = composition.Provider(role="cms", name="strapi")
QUEUE = composition.Resource(name="q", kind="sqs_queue", settings={"name": "q"})


def _stack(*parts: composition.Provider | composition.Resource) -> composition.Composition:
    return composition.Composition(
        stack_id="shop",
        providers=tuple(each for each in parts if isinstance(each, composition.Provider)),
        resources=tuple(each for each in parts if isinstance(each, composition.Resource)),
    )


def _version(number: int, version: str, at: int) -> stack.Version:
    return stack.Version(
        generation=number,
        version=version,
        hash=str(number),
        declared_at=clocks.Timestamp(at),
        actor="user:ada",
        environment="prod",
        position=number,
    )


KNOWN = (_version(1, "v1.0.0", 10), _version(2, "v1.1.0", 20), _version(3, "v2.0.0", 30))


@pytest.mark.parametrize(
    ("before", "after", "version"),
    [
        (_stack(CMS), _stack(composition.Provider(role="cms", name="strapi", url="http://x")),
         "v1.2.4"),
        (_stack(CMS), _stack(CMS, QUEUE), "v1.3.0"),
        (_stack(CMS, QUEUE), _stack(CMS), "v2.0.0"),
        (_stack(CMS), _stack(composition.Provider(role="cms", name="sanity")), "v2.0.0"),
        (_stack(QUEUE), _stack(composition.Resource(name="q", kind="sns_topic")), "v2.0.0"),
        (_stack(CMS), _stack(QUEUE), "v2.0.0"),
        (None, _stack(CMS), "v2.0.0"),
    ],
)  # fmt: skip
def test_d_12_a_version_tells_how_far_a_change_goes(
    before: composition.Composition | None, after: composition.Composition, version: str
) -> None:
    assert versions.following("v1.2.3", before, after) == version


def test_the_first_version_is_one() -> None:
    assert versions.following("", None, _stack(CMS)) == "v1.0.0"


_Part = composition.Provider | composition.Resource


def _address(part: _Part) -> str:
    return part.address


_PARTS: st.SearchStrategy[list[_Part]] = st.lists(
    st.sampled_from(
        [
            CMS,
            QUEUE,
            composition.Provider(role="cms", name="sanity"),
            composition.Resource(name="q", kind="sqs_queue"),
            composition.Resource(name="p", kind="http"),
        ]
    ),
    max_size=3,
    unique_by=_address,
)


@given(_PARTS, _PARTS, st.tuples(*[st.integers(0, 99)] * 3))
def test_the_next_version_is_always_above_the_last(
    before: list[_Part],
    after: list[_Part],
    last: tuple[int, int, int],
) -> None:
    following = versions.following("v{}.{}.{}".format(*last), _stack(*before), _stack(*after))
    assert versions.parse(following) > last


@given(_PARTS, _PARTS)
def test_what_changed_is_told_once_and_backwards_it_is_the_reverse(
    before: list[_Part],
    after: list[_Part],
) -> None:
    there = versions.changes(_stack(*before), _stack(*after))
    back = versions.changes(_stack(*after), _stack(*before))
    assert (there.added, there.removed, there.changed) == (
        back.removed,
        back.added,
        back.changed,
    )
    assert set(there.replaced) <= set(there.changed)
    assert not set(there.added) & set(there.changed)


@pytest.mark.parametrize("name", ["v1.1.0", "1.1.0"])
def test_a_version_is_found_by_name(name: str) -> None:
    assert versions.named(KNOWN, name).generation == 2


@pytest.mark.parametrize(("time", "generation"), [(10, 1), (19, 1), (20, 2), (99, 3)])
def test_h_18_a_version_is_found_by_time(time: int, generation: int) -> None:
    assert versions.at(KNOWN, clocks.Timestamp(time)).generation == generation


def test_what_is_not_there_is_refused_with_what_is() -> None:
    with pytest.raises(errors.NotFoundError, match=r"v1\.0\.0, v1\.1\.0, v2\.0\.0"):
        versions.named(KNOWN, "v9.0.0")
    with pytest.raises(errors.InvalidInputError, match=r"v1\.2\.3"):
        versions.named(KNOWN, "newest")
    with pytest.raises(errors.NotFoundError, match="the first known is of"):
        versions.at(KNOWN, clocks.Timestamp(9))
    with pytest.raises(errors.NotFoundError):
        versions.at((), clocks.Timestamp(9))
