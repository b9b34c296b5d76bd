"""Where a new sequence gets its slot when what is kept there is too long to be moved in one step."""

from inference.placement import admit, fetch
from inference.sequence import Sequence
from inference.slots import SlotTable

MOST = 4


def table_of(*kept: list[int]) -> SlotTable:
    """Idle slots, used in this order, the first one longest ago; but slot 1 decodes."""
    table = SlotTable(len(kept))
    for index, tokens in enumerate(kept):
        table[index].kept, table[index].used = list(tokens), index + 1
    running = Sequence("running", kept[1])
    table[1].kept = []
    table.occupy(1, running, 0)
    return table


def admitted(table: SlotTable, prompt: list[int]) -> Sequence:
    sequence = Sequence("new", prompt)
    for _ in range(50):
        if sequence.slot >= 0:
            break
        assert sum(move.positions for move in admit(table, sequence, range(1, 2), MOST)) <= MOST
    while moves := fetch(table, sequence, MOST):
        assert sum(move.positions for move in moves) <= MOST
    return sequence


def test_what_was_kept_beside_the_block_is_brought_elsewhere_whole_before_its_slot_is_given_away() -> None:
    """At the cost of what was used least recently, here the last slot, and of nothing else."""
    table = table_of(list(range(100, 112)), [9], list(range(200, 214)), list(range(300, 305)))
    table[3].used, table[0].used = 1, 4
    sequence = admitted(table, [1, 2, 3])
    assert sequence.slot == 0
    assert table[3].kept == list(range(100, 112))
    assert table[2].kept == list(range(200, 214))


def test_a_long_conversation_that_goes_on_leaves_its_old_slot_to_be_given_up_first() -> None:
    history = list(range(100, 120))
    table = table_of([], [9], [], list(range(200, 210)), list(range(300, 310)), history)
    sequence = admitted(table, [*history, 1, 2, 3])
    assert sequence.cached == len(history)
    assert table[5].kept == history
    assert table.oldest() in (0, 2, 5)
    assert table[5].used == 0
    assert not table[5].proven


def test_a_beginning_that_many_share_stays_where_it_is() -> None:
    shared = list(range(100, 120))
    table = table_of([], [9], [], [], [], [*shared, *range(200, 230)])
    sequence = admitted(table, [*shared, 1, 2, 3])
    assert sequence.cached == len(shared)
    assert table[5].proven
