"""The arguments of ``snapshot`` and ``snapshot-merge``: the exception store and the features.

Source: ``snapshot_ctr``, ``parse_snapshot_features`` in dm-snap.c, ``dm_exception_store_create`` in
dm-exception-store.c.
"""

import re

from snapmerge.format.store import Persistent, Store, Transient
from snapmerge.machine.core.table_line import BadTable
from snapmerge.records import dataclass
from snapmerge.units import is_chunk_size

__all__ = ["Features", "parse_features", "parse_store"]


@dataclass(frozen=True, slots=True)
class Features:
    """The feature arguments of ``snapshot`` and ``snapshot-merge``."""

    zeroes: bool = False
    passdown: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """As the table line has them: nothing, or a count and names."""
        names = ("discard_zeroes_cow",) * self.zeroes + ("discard_passdown_origin",) * self.passdown
        return (str(len(names)), *names) if names else ()


def parse_features(args: tuple[str, ...]) -> Features:
    """The features among the arguments from the fifth on (CTOR-7).  Raises BadTable (CTOR-1, rows 2 to 4).

    Source: ``parse_snapshot_features``.
    """
    if not args:
        return Features()
    count = int(args[0]) if re.fullmatch(r"[0-9]{1,9}", args[0]) else 99
    if count > min(2, len(args) - 1):
        raise BadTable("Invalid number of feature arguments")
    features, problem = Features(), ""
    for word in args[1 : 1 + count]:
        match word.lower():
            case "discard_zeroes_cow":
                features = Features(zeroes=True, passdown=features.passdown)
            case "discard_passdown_origin":
                features = Features(zeroes=features.zeroes, passdown=True)
            case _:
                problem = "Unrecognised feature requested"
                break
    if features.passdown and not features.zeroes:
        problem = "discard_passdown_origin feature depends on discard_zeroes_cow"
    if problem:
        raise BadTable(problem)
    return features


def parse_store(kind: str, chunk_size: str) -> Store | None:
    """The store that two arguments ask for; None when the kernel refuses them, which it does with one text for all.

    The first letter selects the type, the second is the persistent store's option (CTOR-5); a chunk size of 0 means
    "not supplied" (CTOR-6).
    """
    size = _parse_chunk_size(chunk_size)
    if size is None:
        return None
    match kind[0].upper(), kind[1:2].upper():
        case "P", ("" | "O") as option:
            return Persistent(size, overflow=option == "O", supplied=size != 0)
        case "N", _:
            return Transient(size)
        case _:
            return None


def _parse_chunk_size(word: str) -> int | None:
    """The chunk size in sectors; None: it is not one that a store may have (CTOR-6)."""
    if not re.fullmatch(r"\+?[0-9]+", word, re.ASCII) or len(word) > 19:
        return None
    size = int(word)
    return size if size == 0 or is_chunk_size(size) else None
