"""The table of settings: the type, check, message words and description of each."""

from collections.abc import Mapping
from typing import NamedTuple, Self, get_args, get_origin

import msgspec

from ikto_core.config.model import Config
from ikto_core.config.plugin_settings import value_of
from ikto_core.config.types import Info
from ikto_core.config.value_checks import split_list


class Kind(NamedTuple):
    """The kind of value that a setting, or an item of a list setting, takes."""

    annotation: object  # the type that msgspec converts to
    info: Info
    description: str
    item: "Kind | None"  # the kind of a list's items; None: not a list
    is_object: bool = False

    @classmethod
    def of(cls, annotation: object) -> Self:
        """Return the kind for an annotated type of `types`, with or without a description."""
        bare, *notes = get_args(annotation)
        return cls(
            annotation,
            next(note for note in notes if isinstance(note, Info)),
            next((note.description for note in notes if isinstance(note, msgspec.Meta) and note.description), ""),
            cls.of(get_args(bare)[0]) if get_origin(bare) is tuple else None,
            get_origin(bare) is dict,
        )

    def split(self, text: str) -> object:
        """Return the JSON value for a text from the command line or the environment.

        A list if the setting is one, and if it is an object, what the text is as JSON.
        """
        return value_of(text) if self.is_object else split_list(text) if self.item else text

    def convert(self, value: object, *, is_text: bool) -> object:
        """Return a JSON value or a text converted to this kind. Raises ValueError (msgspec.ValidationError is one)."""
        if is_text and isinstance(value, str):
            value = self.split(value)
        converted: object = msgspec.convert(value, self.annotation, strict=not is_text)
        self.info.check(converted)
        return converted


SETTINGS: Mapping[str, Kind] = {field.name: Kind.of(field.type) for field in msgspec.structs.fields(Config)}
"""The settings by name, in the configuration's order."""
