"""All stacks of a cohort: who trains with whom, who leaves, who joins, and what is done when memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from reno_sweeps.records import EpochEnded, Event, FoldFailed, FoldFinished, FoldResult, FoldStopped, Key, Model
from reno_sweeps.training import memory
from reno_sweeps.training.cohort import Structure, structure
from reno_sweeps.training.data import Data, Tensors
from reno_sweeps.training.stack import Stack


class Stacks:
    """Models in training, those of equal structure stacked, at most `width` together; None: as many as fit."""

    def __init__(self, data: Data, device: str, width: int | None, say: Callable[[str], None]) -> None:
        self._data, self._device, self._say = data, device, say
        self._tensors = Tensors(data, device)
        self._most = width
        self._widths: dict[Structure, int] = {}
        self._stacks: list[Stack] = []
        self._said = False

    def __iter__(self) -> Iterator[Stack]:
        return iter(tuple(self._stacks))

    def __bool__(self) -> bool:
        return bool(self._stacks)

    def join(self, models: Sequence[Model]) -> None:
        """Begin to train these models: with those of their structure, where there is room."""
        families: dict[Structure, list[Model]] = {}
        for model in models:
            families.setdefault(structure(model), []).append(model)
        for family in families.values():
            width = self._width(family[0])
            for start in range(0, len(family), width):
                self._stacks.append(Stack(family[start : start + width], self._data, self._tensors, self._device))
        self._unite()

    def _width(self, model: Model) -> int:
        kind = structure(model)
        if kind not in self._widths:
            self._widths[kind] = self._most or memory.fitting(
                Stack([model], self._data, self._tensors, self._device), self._device
            )
        return self._widths[kind]

    def _unite(self) -> None:
        """Stacks of one structure that have become small go on together."""
        done: list[Stack] = []
        for stack in self._stacks:
            host = next((s for s in done if self._fits(s, stack)), None)
            if host is None:
                done.append(stack)
            else:
                host.join(stack)
        self._stacks = done

    def _fits(self, host: Stack, guest: Stack) -> bool:
        return host.structure == guest.structure and len(host) + len(guest) <= self._widths[host.structure]

    def leave(self, keys: Collection[Key]) -> list[Event]:
        """Models that were told to stop go."""
        events: list[Event] = []
        for stack in self:
            gone = [member for member in stack.members if member.model.key in keys]
            events += [FoldStopped(member.model.key, member.epoch) for member in gone]
            if gone:
                self._keep(stack, [i for i, member in enumerate(stack.members) if member.model.key not in keys])
        self._unite()
        return events

    def _keep(self, stack: Stack, places: Sequence[int]) -> None:
        if places:
            stack.keep(places)
        else:
            self._stacks.remove(stack)

    def advance(self, stack: Stack) -> list[Event]:
        """One epoch of one stack, and the end of its models where it has come."""
        try:
            metrics = stack.advance()
        except Exception as error:
            if not memory.ran_out(error):
                raise
            return self._halved(stack, error)
        events: list[Event] = []
        staying: list[int] = []
        for place, found in enumerate(metrics):
            ends = self._end(stack, place, found)
            events += ends
            if isinstance(ends[-1], EpochEnded):
                staying.append(place)
        self._keep(stack, staying)
        return events

    def _end(self, stack: Stack, place: int, found: dict[str, float] | str) -> list[Event]:
        """A model's epoch, and its end where it has come."""
        member = stack.members[place]
        key = member.model.key
        if isinstance(found, str):
            return [FoldFailed(key, found)]
        epoch = EpochEnded(key, member.epoch, found)
        if not member.done:
            return [epoch]
        result = stack.result(place)
        return [epoch, FoldFinished(key, result) if isinstance(result, FoldResult) else FoldFailed(key, result)]

    def _halved(self, stack: Stack, error: Exception) -> list[Event]:
        """Memory did not suffice: the epoch goes on in halves from where it was."""
        if len(stack) == 1:
            self._stacks.remove(stack)
            reason = f"{self._device} has not the memory to train even one such model: {str(error).splitlines()[0]}"
            return [FoldFailed(stack.members[0].model.key, reason)]
        half = (len(stack) + 1) // 2
        self._widths[stack.structure] = half
        if not self._said:
            self._said = True
            self._say(f"{self._device} ran out of memory with {len(stack)} models at once; going on with {half}")
        where = self._stacks.index(stack)
        parts = [stack.part(range(half)), stack.part(range(half, len(stack)))]
        self._stacks[where : where + 1] = parts
        del stack
        memory.release(self._device)
        return [event for part in parts for event in self.advance(part)]
