"""A source by the name of its connection: what it holds, and how to reach it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from engage.sources.definition import Definition, Query, definitions
from engage.sources.part import Filesystem, Part
from engage.sources.query import Connect, Connection, slices
from engage.window import Window


@dataclass(frozen=True)
class Source:
    """A source of events. It connects when the first part is read."""

    name: str
    definitions: Mapping[str, Definition]
    connection: Connection
    filesystem: Filesystem

    @classmethod
    def of(cls, name: str, given: object, connect: Connect, filesystem: Filesystem) -> Source:
        """The source that the entry ``given`` in the extra of the connection ``name`` defines.

        Raises:
            SourceError: there is no entry, or something in it is not allowed.
        """
        return cls(name, definitions(name, given), Connection(name, connect), filesystem)

    def parts(self, kind: str, window: Window) -> Iterator[Part]:
        """The parts with events of a kind that may lie in the window.

        Raises:
            SourceError: they cannot be listed.
        """
        definition = self.definitions[kind]
        if isinstance(definition, Query):
            yield from slices(kind, definition, window, self.connection)
        else:
            from engage.sources.files import files  # noqa: PLC0415 - it loads pyarrow, which commands do without

            yield from files(kind, definition, self.name, self.filesystem)

    def close(self) -> None:
        """Close the connection, if it is open."""
        self.connection.close()
