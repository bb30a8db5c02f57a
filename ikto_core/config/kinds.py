"""What is known of each member: its type, the form's words, what it is for."""

from collections.abc import Mapping
from typing import NamedTuple, Self, get_args, get_origin

import msgspec

from ikto_core.config.model import Config
from ikto_core.config.types import Info, split_list


class Kind(NamedTuple):
    """The kind of value that a member, or an item of one, takes."""

    annotation: object  # what msgspec converts to
    form: Info
    description: str
    item: "Kind | None"  # of a list's items; None: it is no list

    @classmethod
    def of(cls, annotation: object) -> Self:
        """Read an annotated type of `forms`, with or without a description."""
        bare, *notes = get_args(annotation)
        return cls(
            annotation,
            next(note for note in notes if isinstance(note, Info)),
            next((note.description for note in notes if isinstance(note, msgspec.Meta) and note.description), ""),
            cls.of(get_args(bare)[0]) if get_origin(bare) is tuple else None,
        )

    def split(self, text: str) -> object:
        """Return what a text of the command line or the environment stands for, before conversion."""
        return split_list(text) if self.item else text

    def convert(self, value: object, *, is_text: bool) -> object:
        """Return a value of this kind, from JSON or from text; msgspec.ValidationError, a ValueError, if it is none."""
        if is_text and isinstance(value, str):
            value = self.split(value)
        converted: object = msgspec.convert(value, self.annotation, strict=not is_text)
        self.form.check(converted)
        return converted


SETTINGS: Mapping[str, Kind] = {field.name: Kind.of(field.type) for field in msgspec.structs.fields(Config)}
"""The members, in the configuration's order."""
