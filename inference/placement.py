"""Where sequences sit: decoding ones side by side, a new prompt beside them or where its prefix is.

Pure policy over a SlotTable. It knows neither queues nor chunks; costs are positions moved.
"""

from inference.plan import Chunk, Companion, Move
from inference.sequence import Sequence
from inference.slots import SlotTable


def close_ranks(table: SlotTable, decoding: list[Sequence], reading: Sequence | None) -> list[Move]:
    """The cheapest swaps that put the decoding sequences into neighbouring slots, around the one being read."""
    taken = sorted(sequence.slot for sequence in decoding)
    if not taken or taken[-1] - taken[0] + 1 == len(taken):
        return []
    barrier = -1 if reading is None else reading.slot
    windows = [range(first, first + len(taken)) for first in range(len(table) - len(taken) + 1)]
    allowed = [window for window in windows if barrier not in window]
    assert allowed, "the slot being read lies beside the block, never inside it"
    window = min(allowed, key=lambda window: (_cost(table, window, taken, reading), window.start))
    outside = [slot for slot in taken if slot not in window]
    holes = [slot for slot in window if table[slot].sequence is None]
    return [table.swap(slot, hole) for slot, hole in zip(outside, holes, strict=True)]


def _cost(table: SlotTable, window: range, taken: list[int], reading: Sequence | None) -> int:
    cost = sum(table[slot].length for slot in taken if slot not in window)
    cost += sum(table[slot].length for slot in window if table[slot].sequence is None)
    if reading is not None and reading.slot not in (window.start - 1, window.stop):
        # Later, the shortest of them will have to cross the gap.
        cost += min(reading.prompt_length, *(table[slot].length for slot in taken))
    return cost


def admit(table: SlotTable, sequence: Sequence, block: range) -> list[Move]:
    """Give an idle slot, at least one of which exists, to a new sequence, with the longest prefix found anywhere in its
    domain.

    `block` are the slots that decode; if there are any, the slot is a neighbour of theirs. At least two tokens
    of the prompt are left to compute, so that its last chunk has two rows; or none, where the sequence has begun.
    """
    whole = sequence.prompt_length
    source, match = table.longest_prefix(sequence.tokens, whole if sequence.begun else whole - 2, sequence.domain)
    match = match if match == whole else min(match, max(whole - 2, 0))
    oldest = table.oldest()
    worth_taking = source == oldest or 2 * match >= table[source].length
    in_place = match > 0 and table[source].sequence is None and worth_taking
    if in_place:
        table.shorten(source, match)
        place, moves = _bring(table, source, block)
    else:
        place, moves = _vacate(table, oldest, block)
        moves += _fetch(table, source, match, place, oldest)
    table.occupy(place, sequence, match, proven=in_place)
    return moves


def _bring(table: SlotTable, source: int, block: range) -> tuple[int, list[Move]]:
    """Move what `source` keeps beside the block, in exchange for what is kept there."""
    beside = _beside(table, block)
    if not block or source in beside:
        return source, []
    place = min(beside, key=lambda slot: table[slot].length)
    return place, [table.swap(source, place)]


def _vacate(table: SlotTable, oldest: int, block: range) -> tuple[int, list[Move]]:
    """Make room beside the block, at the cost of the content used least recently."""
    beside = _beside(table, block)
    if not block or oldest in beside:
        return oldest, []
    place = min(beside, key=lambda slot: table[slot].length)
    length = table[place].length
    return place, [table.copy(place, oldest, length)] if length else []


def _fetch(table: SlotTable, source: int, match: int, place: int, oldest: int) -> list[Move]:
    """Copy a prefix into the place, unless it lies there already; it counts as used where it stays."""
    if not match:
        return []
    keeper = oldest if source == place else source
    table.touch(keeper)
    return [] if source == place else [table.copy(source, place, match)]


def companion(table: SlotTable, block: range, chunk: Chunk | None) -> Companion | None:
    """The neighbour that gives the block a row more, with the fewest positions to look back on; None without one.

    It writes behind what the neighbour holds, this step's chunk included.
    """
    ends = {each: table[each].length for each in _beside(table, block)}
    if chunk is not None and chunk.sequence.slot in ends:
        ends[chunk.sequence.slot] = chunk.start + chunk.length
    return min((Companion(each, end) for each, end in ends.items()), key=lambda row: row.position, default=None)


def _beside(table: SlotTable, block: range) -> list[int]:
    """The neighbours of a block that is not empty; while no prompt is read they are idle."""
    if not block:
        return []
    return [slot for slot in (block.stop, block.start - 1) if 0 <= slot < len(table)]
