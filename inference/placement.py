"""Where sequences sit: decoding ones side by side, a new prompt beside them or where its prefix is.

Pure policy over a SlotTable. It knows neither queues nor chunks; costs are positions moved.
"""

from inference.plan import Chunk, Companion, Copy, Move
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


def beginning(table: SlotTable, sequence: Sequence) -> tuple[int, int]:
    """(slot, length) of the longest beginning of the sequence's prompt that may be reused, in its domain.

    At least two tokens of the prompt are left to compute, so that its last chunk has two rows; or none, where the
    sequence has begun.
    """
    whole = sequence.prompt_length
    source, match = table.longest_prefix(sequence.tokens, whole if sequence.begun else whole - 2, sequence.domain)
    return source, match if match == whole else min(match, max(whole - 2, 0))


def admit(table: SlotTable, sequence: Sequence, block: range, most: int) -> list[Move]:
    """Give an idle slot, at least one of which exists, to a new sequence, with the beginning of its prompt.

    `block` are the slots that decode; if there are any, the slot is a neighbour of theirs. most: positions to move, at
    least 1; of a longer beginning `fetch` brings the rest. Where the slot keeps so much that it takes more than one
    step to bring that elsewhere, the sequence has none yet, and this is to be called again.
    """
    source, match = beginning(table, sequence)
    oldest = table.oldest()
    worth_taking = source == oldest or 2 * match >= table[source].length
    if match > 0 and table[source].sequence is None and worth_taking and _can_bring(table, source, match, block, most):
        table.shorten(source, match)
        place, moves = _bring(table, source, block)
        table.occupy(place, sequence, match, proven=True)
        return moves
    place, keeper, moves = _vacate(table, table.oldest(besides=source) if match else oldest, block, most)
    if place < 0:
        return moves
    if match and source == place:
        table.touch(keeper)
    elif match:
        match = _piece(sequence, 0, match, most - sum(move.positions for move in moves))
        moves += [table.copy(source, place, match)] if match else []
        _used(table, source, match)
    table.occupy(place, sequence, match)
    return moves


def fetch(table: SlotTable, sequence: Sequence, most: int) -> list[Move]:
    """More of the beginning of an admitted sequence's prompt, at most so many positions."""
    source, match = beginning(table, sequence)
    start = sequence.written
    length = _piece(sequence, start, match, most)
    if length <= start:
        return []
    _used(table, source, length)
    sequence.reuse(length)
    return [Copy(source, sequence.slot, length, start)]


def _piece(sequence: Sequence, start: int, match: int, most: int) -> int:
    """Up to where to copy. Should the rest not be there any more, it must not be a single token."""
    length = min(match, start + most)
    return length - 1 if length < match and sequence.prompt_length - length == 1 and length - start > 1 else length


def _used(table: SlotTable, source: int, length: int) -> None:
    """The first `length` tokens served another prompt, which has a copy of them now."""
    if table[source].sequence is None and 2 * length >= table[source].length:
        table.give_up_first(source)  # it would have been moved there, if that were not too much for one step
    else:
        table.touch(source)


def _can_bring(table: SlotTable, source: int, match: int, block: range, most: int) -> bool:
    beside = _beside(table, block)
    return not block or source in beside or match + min(table[slot].length for slot in beside) <= most


def _bring(table: SlotTable, source: int, block: range) -> tuple[int, list[Move]]:
    """Move what `source` keeps beside the block, in exchange for what is kept there."""
    beside = _beside(table, block)
    if not block or source in beside:
        return source, []
    place = min(beside, key=lambda slot: table[slot].length)
    return place, [table.swap(source, place)]


def _vacate(table: SlotTable, oldest: int, block: range, most: int) -> tuple[int, int, list[Move]]:
    """Make room beside the block, at the cost of the content used least recently: (the slot, or -1 as long as what it
    keeps is not elsewhere; where that is kept; moves)."""
    beside = _beside(table, block)
    if not block:
        return oldest, oldest, []
    place = min(beside, key=lambda slot: table[slot].length)
    length, (twin, have) = table[place].length, table.beginning_of(place)
    is_begun = have > 0 and table[twin].used == table[place].used  # a copy is as old as what it was made of
    if oldest in beside and not is_begun:
        return oldest, oldest, []
    if not length:
        return place, oldest, []
    keeper, end = twin if have else oldest, min(length, have + most)
    moves: list[Move] = [table.copy(place, keeper, end, have)] if end > have else []
    return place if end == length else -1, keeper, moves


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
