"""Golden conversations with a scheduler: commands, `----`, and what it answers, in text files.

Run the tests with REWRITE_GOLDEN=1 to write the answers anew, and read the change as a diff.
"""

from inference.chunk_budget import ChunkBudget
from inference.plan import Copy, Plan, Swap
from inference.scheduler import Scheduler
from inference.sequence import Sequence

SEPARATOR = "----"


class Conversation:
    """Obeys the commands of a script.

    new slots=4 chunk=4 alone=8     a scheduler
    add NAME TOKENS                 a request; tokens as `1-5,9`
    begin NAME                      a request that waits gets its first token, drawn with a sibling's prompt
    step [NAME ...]                 plan and commit; the named sequences end with the token they get
    abort NAME / discard NAME       it ends, leaving its slot's content reusable / untrusted
    slots                           what is where
    """

    def __init__(self) -> None:
        self._scheduler = Scheduler(1, ChunkBudget(2, 2))
        self._sequences: dict[str, Sequence] = {}
        self._next_token = 1000

    def obey(self, command: str) -> list[str]:
        name, *arguments = command.split()
        if name == "new":
            sizes = {key: int(value) for key, value in (argument.split("=") for argument in arguments)}
            self._scheduler = Scheduler(sizes["slots"], ChunkBudget(sizes["chunk"], sizes["alone"]))
        elif name == "add":
            self._sequences[arguments[0]] = Sequence(arguments[0], tokens(arguments[1]))
            self._scheduler.add(self._sequences[arguments[0]])
        elif name == "begin":
            self._draw(self._sequences[arguments[0]])
        elif name == "step":
            return self._step(arguments)
        elif name == "slots":
            return self._slots()
        else:
            end = {"abort": self._scheduler.finish, "discard": self._scheduler.discard}[name]
            end(self._sequences.pop(arguments[0]))
        return ["ok"]

    def _step(self, ending: list[str]) -> list[str]:
        plan = self._scheduler.plan()
        lines = describe(plan)
        sampled: list[Sequence] = []
        if plan.chunk is not None:
            self._scheduler.read(plan.chunk, 0.0)
            sampled += [plan.chunk.sequence] if plan.chunk.last and not plan.chunk.sequence.begun else []
        if plan.decode is not None:
            self._scheduler.decoded(plan.decode, 0.0)
            sampled += plan.decode.sequences
        for sequence in sampled:
            self._draw(sequence)
        for name in ending:
            sequence = self._sequences.pop(name)
            assert sequence in sampled, f"{name} got no token in this step"
            self._scheduler.finish(sequence)
        return lines

    def _draw(self, sequence: Sequence) -> None:
        sequence.tokens.append(self._next_token)
        self._next_token += 1

    def _slots(self) -> list[str]:
        table = self._scheduler.table
        lines = []
        for index in range(len(table)):
            slot = table[index]
            if slot.sequence is not None:
                sequence = slot.sequence
                lines.append(f"{index} runs {sequence.id}, {sequence.written} written, {sequence.exact} exact")
            else:
                lines.append(f"{index} keeps {ranges(slot.kept)}" if slot.kept else f"{index} is empty")
        return lines


def describe(plan: Plan) -> list[str]:
    lines = []
    for move in plan.moves:
        if isinstance(move, Swap):
            lines.append(f"swap slot {move.a} ({move.length_a}) with slot {move.b} ({move.length_b})")
        else:
            assert isinstance(move, Copy)
            lines.append(f"copy slot {move.source} to slot {move.target} ({move.length})")
    if plan.chunk is not None:
        chunk = plan.chunk
        last = ", last" if chunk.last else ""
        end = chunk.start + chunk.length
        lines.append(f"prefill {chunk.sequence.id} in slot {chunk.sequence.slot}: {chunk.start} to {end}{last}")
    if plan.decode is not None:
        rows = " ".join(f"{sequence.id}@{sequence.written}" for sequence in plan.decode.sequences)
        lines.append(f"decode from slot {plan.decode.first}: {rows}")
    return lines or ["nothing"]


def tokens(text: str) -> list[int]:
    numbers: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def ranges(numbers: list[int]) -> str:
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][-1] == number - 1:
            parts[-1][-1] = number
        else:
            parts.append([number, number])
    return ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in parts)


def replay(script: str) -> str:
    """The script with the answers that the scheduler gives now."""
    conversation = Conversation()
    blocks = []
    for block in script.strip().split("\n\n"):
        commands = block.split(f"\n{SEPARATOR}", maxsplit=1)[0].splitlines()
        answers: list[str] = []
        for command in commands:
            if not command.startswith("#"):
                answers = conversation.obey(command)
        is_comment = all(command.startswith("#") for command in commands)
        blocks.append("\n".join(commands if is_comment else [*commands, SEPARATOR, *answers]))
    return "\n\n".join(blocks) + "\n"
