"""Routes that moved: two orders of the same names, told as the fewest moves from one to the other.

What stays is a longest common subsequence, which for two orders of the same names is a longest rise of the places that the names
of one order have in the other. Where there are several (when two neighbours swap, either may be said to have moved), the choice is
the same both ways: the lesser order always comes first.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


def moved(old: Sequence[str], new: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Every name that has to move, with its place in `old` and its place in `new`. Both have the same names, each once.

    A place is "at the top" or "after NAME", the nearest name before it that stays. The two places of a name differ: if the same one
    that stays stood before it on both sides, then so would the next one that stays stand behind it, and it could stay itself.
    """
    lesser, greater = sorted((list(old), list(new)))
    at = {name: index for index, name in enumerate(lesser)}
    staying = {lesser[index] for index in longest_rise([at[name] for name in greater])}
    before, after = _places(old, staying), _places(new, staying)
    return {name: (place, after[name]) for name, place in before.items()}


def _places(order: Sequence[str], staying: set[str]) -> dict[str, str]:
    """The places of those that do not stay."""
    places = {}
    place = "at the top"
    for name in order:
        if name in staying:
            place = f"after {name}"
        else:
            places[name] = place
    return places


def longest_rise(numbers: Sequence[int]) -> list[int]:
    """A longest rising subsequence of numbers that are all different, by patience sorting (n log n)."""
    ends: list[int] = []  # ends[i]: the lowest end of a rise of i + 1 numbers
    before: dict[int, int | None] = {}
    for number in numbers:
        place = bisect_left(ends, number)
        before[number] = ends[place - 1] if place else None
        ends[place : place + 1] = [number]
    rise: list[int] = []
    end = ends[-1] if ends else None
    while end is not None:
        rise.append(end)
        end = before[end]
    return rise[::-1]
