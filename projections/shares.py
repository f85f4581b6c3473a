"""Who keeps which partition: as even as can be, and nobody gives away what he may keep."""

from __future__ import annotations

from collections.abc import Collection, Mapping


def shares(partitions: Collection[int], held: Mapping[str, Collection[int]]) -> dict[str, list[int]]:
    """Deal *partitions* to the members of a group: of each, ascending. Their numbers differ by one at most.

    held  member -> the partitions that it had; what two of them say they had stays with one
    """
    free, dealt = set(partitions), {member: list[int]() for member in held}
    least, more = divmod(len(free), len(dealt))
    for member in sorted(held, key=lambda member: (-len(held[member]), member)):
        may_keep = least + (more > 0)
        dealt[member] = sorted(free & set(held[member]))[:may_keep]
        more -= len(dealt[member]) > least
        free.difference_update(dealt[member])
    for partition in sorted(free):
        min(dealt.items(), key=lambda share: (len(share[1]), share[0]))[1].append(partition)
    return {member: sorted(each) for member, each in dealt.items()}
