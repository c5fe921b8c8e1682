"""What kinds of sources say of their settings."""

import msgspec

from helios.ingest import kinds


class Base(msgspec.Struct):
    """Settings of any sender.

    Attributes:
        header: which one holds the signature.
    """

    header: str = "X-Any"


class Named(Base):
    """Settings of a sender that we know."""

    header: str = "X-Known"


class Own(Base):
    """Settings of another.

    Attributes:
        header: ours.
    """


class Silent(msgspec.Struct):
    pass


def test_fields_that_are_inherited_are_described_as_where_they_come_from() -> None:
    text = kinds.described(Named)["description"]
    assert text.startswith("Settings of a sender that we know.")
    assert "header: which one holds the signature." in text


def test_a_class_that_describes_its_fields_is_taken_at_its_word() -> None:
    text = kinds.described(Own)["description"]
    assert "header: ours." in text
    assert "holds the signature" not in text


def test_settings_of_which_nothing_is_said_have_no_description() -> None:
    assert "Attributes" not in kinds.described(Silent).get("description", "")
