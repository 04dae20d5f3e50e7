"""Outcomes that are nearly what was seen; for the tests beside this file."""

import re
from collections.abc import Iterator

import snapmerge as sm

__all__ = ["mutants", "mutated"]

_NUMBER = re.compile(r"\d+")
_TAG = 77_777


def mutated(steps: list[sm.Step]) -> Iterator[tuple[int, sm.Outcome]]:
    """Each step with an outcome, by its index, with each mutant of that."""
    for at, step in enumerate(steps):
        yield from ((at, mutant) for mutant in mutants(step.outcome) if mutant != step.outcome)


def mutants(outcome: sm.Outcome | None) -> Iterator[sm.Outcome]:
    """Another tag, sector, error, number or record; success for failure and the reverse; a record more or less."""
    match outcome:
        case sm.Done():
            yield sm.Failed("EIO")
        case sm.Failed():
            yield sm.Failed("EIO" if outcome.errno == "ENOMEM" else "ENOMEM", outcome.text)
            yield sm.Done()
        case sm.Blocked():
            yield sm.Done()
        case sm.Data(sectors):
            yield sm.Data((*sectors[1:], sectors[0]))
            for at in {0, len(sectors) // 2, len(sectors) - 1}:
                yield from (sm.Data((*sectors[:at], tag, *sectors[at + 1 :])) for tag in (0, _TAG))
        case sm.Line(text):
            for number in _NUMBER.finditer(text):
                for value in (int(number[0]) + 1, int(number[0]) + 8, abs(int(number[0]) - 1)):
                    yield sm.Line(f"{text[: number.start()]}{value}{text[number.end() :]}")
        case sm.Count(value):
            yield sm.Count(value + 1)
        case sm.Records("store", valid, version, chunk_size, records):
            yield sm.Records("store", 1 - valid, version, chunk_size, records)
            yield from (sm.Records("store", valid, version, chunk_size, other) for other in _other_records(records))
        case _:
            pass


def _other_records(records: tuple[tuple[int, int], ...]) -> Iterator[tuple[tuple[int, int], ...]]:
    if records:
        *before, (old, new) = records
        yield tuple(before)
        yield records[::-1]
        yield from ((*before, other) for other in ((old + 1, new), (old, new + 1)))
        yield (*records, (old + 1, new + 1))
