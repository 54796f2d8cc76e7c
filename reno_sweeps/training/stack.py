"""Models of equal structure in training as one tensor program: every tensor leads with a models axis."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from reno_sweeps import catalogue, space
from reno_sweeps.records import FoldResult, Model, seed_from
from reno_sweeps.training import judge, optimizer, predict, replay, scores
from reno_sweeps.training.cohort import Structure, structure
from reno_sweeps.training.data import Data, Tensors, together
from reno_sweeps.training.dropout import Masks
from reno_sweeps.training.epoch import Epoch
from reno_sweeps.training.member import Member, generator, padded
from reno_sweeps.training.objective import Objective, balanced
from reno_sweeps.training.params import Params
from reno_sweeps.training.precision import arithmetic, widened
from reno_sweeps.training.weights import Weights


class Stack:
    """Models of one structure, trained an epoch at a time. Every random number comes from the model's own seed."""

    def __init__(self, models: Sequence[Model], data: Data, tensors: Tensors, device: str) -> None:
        """`models` of one structure; `tensors` of the data, on the device."""
        first = models[0]
        self.structure: Structure = structure(first)
        self._data, self._tensors, self._device = data, tensors, device
        self._head = catalogue.load("heads", first.head)
        self._params = space.build(self._head.Params, first.values)
        self._head.check(self._params)
        self._dims, self._classes = data.dims(first.encoders), len(data.classes)
        self._settings = space.build(Params, first.values)  # of which the whole numbers and names are everybody's
        self._dtype = torch.float64 if self._settings.training_precision == "float64" else torch.float32
        self.members = [Member.of(model, tensors) for model in models]
        weights = Weights.stacked([self._drawn(model) for model in models], device)
        self._take(weights, optimizer.Moments.of(weights), weights.block.clone())

    # --- setting up -------------------------------------------------------------------------------------------

    def _drawn(self, model: Model) -> Mapping[str, Tensor]:
        drawn: Mapping[str, Tensor] = self._head.init(
            self._params, self._dims, self._classes, generator(model, "init"), self._dtype
        )
        return drawn

    def _take(self, weights: Weights, moments: optimizer.Moments, kept: Tensor) -> None:
        """The models' state, and all that follows from who they are; `kept`: the best weights so far."""
        self._weights, self._moments, self._kept = weights, moments, kept
        models = [member.model for member in self.members]
        own = [member.settings for member in self.members]
        self._leaves = weights.leaves()
        self._adam = optimizer.AdamW(weights, moments, [s.training_weight_decay for s in own])
        self._limits = optimizer.limits([s.training_grad_clip for s in own], self._device)
        self._drop = Masks(
            [s.training_dropout for s in own], [seed_from(m.seed, "dropout") for m in models], self._device
        )
        self._objective = Objective(self._head.LOSSES, [m.values for m in models], self._balance(), self._device)
        self._embeddings = [self._tensors.embeddings[encoder] for encoder in models[0].encoders]
        self._scales = [together([m.scales[i] for m in self.members]) for i in range(len(self._embeddings))]
        self._validation, self._present = padded([m.split.validation for m in models], self._device)
        self._replay: replay.Replay | None = None  # of these models, in this memory
        self._epoch: Epoch | None = None  # under way

    def _balance(self) -> Tensor | None:
        """Weight of each class [models, classes]; None: all alike."""
        if self._settings.training_class_weights == "none":
            return None
        rows = [torch.tensor(member.model.split.train, device=self._device) for member in self.members]
        labels = [self._tensors.labels[own] for own in rows]
        return torch.stack([balanced(own, self._classes) for own in labels]).to(self._dtype)

    # --- who is in it -----------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.members)

    def keep(self, places: Sequence[int]) -> None:
        """Go on with the models at these places; the others leave, and their memory with them."""
        if list(places) == list(range(len(self))):
            return
        self.members = [self.members[i] for i in places]
        index = torch.tensor(places, device=self._device)
        epoch = None if self._epoch is None else self._epoch.part(index)
        first, second, steps = (x[index] for x in (self._moments.first, self._moments.second, self._moments.steps))
        weights = Weights(self._weights.block[index], self._weights.shapes)
        self._take(weights, optimizer.Moments(first, second, steps), self._kept[index])
        self._epoch = epoch

    def join(self, other: Stack) -> None:
        """Take in the models of another stack of the same structure, wherever they are in their training."""
        if other.structure != self.structure:
            raise ValueError("models of another structure cannot join")
        self.members = [*self.members, *other.members]
        mine, theirs = self._moments, other._moments
        moments = optimizer.Moments(
            torch.cat((mine.first, theirs.first)),
            torch.cat((mine.second, theirs.second)),
            torch.cat((mine.steps, theirs.steps)),
        )
        block = torch.cat((self._weights.block, other._weights.block))
        self._take(Weights(block, self._weights.shapes), moments, torch.cat((self._kept, other._kept)))

    def part(self, places: Sequence[int]) -> Stack:
        """A stack of the models at these places alone, as they are now; this one keeps them too."""
        one = copy.copy(self)
        one.keep(places)
        return one

    # --- an epoch ---------------------------------------------------------------------------------------------

    def advance(self) -> list[dict[str, float] | str]:
        """Train one more epoch: each model's metrics, or why its numbers are no longer finite.

        After an exception (no memory) the models are where the last whole step left them. The next call goes on from
        there, also that of a part of this stack.
        """
        start = time.perf_counter()
        epoch = self._epoch = self._epoch or self._begun()
        with arithmetic(self._settings.training_precision):
            found = self._train(epoch)
            faults = self._faults(found)
        validated = self._validated()
        self._epoch = None
        seconds = (time.perf_counter() - start) / len(self)
        return [self._note(i, found, faults, validated, seconds) for i in range(len(self))]

    def _begun(self) -> Epoch:
        multiple = self._settings.training_batch_size if replay.possible(self._device) else 1
        return Epoch.of(self.members, self._device, multiple)

    def _train(self, epoch: Epoch) -> dict[str, list[float]]:
        """One pass over each model's training clips; the mean over its clips of every part of the objective."""
        size, captured = self._settings.training_batch_size, replay.possible(self._device)
        step = self._captured(epoch) if captured else self._step
        for start in range(epoch.done, epoch.rows.shape[1], size):
            rows, there = (x[:, start : start + size] for x in (epoch.rows, epoch.present))
            full = not captured and start + rows.shape[1] <= epoch.shortest
            epoch.note(step(rows, None if full else there, epoch.rates), there)
        return epoch.means()

    def _captured(self, epoch: Epoch) -> Callable[..., dict[str, Tensor]]:
        """The step as a captured program, for as long as the same models train."""
        if self._replay is None:
            size = self._settings.training_batch_size
            state = (self._weights.block, self._moments.first, self._moments.second, self._moments.steps)
            before = [x.clone() for x in state]
            try:
                self._replay = replay.Replay(self._step, epoch.rows[:, :size], epoch.present[:, :size], epoch.rates)
            finally:  # steps made for the capture do not count
                for now, then in zip(state, before, strict=True):
                    now.copy_(then)
        return self._replay

    def _step(self, rows: Tensor, present: Tensor | None, rates: Tensor) -> dict[str, Tensor]:
        """One batch forward, back, and a step of the optimizer: rows [models, batch], present as in the objective."""
        self._drop.begin(self._moments.steps)
        parts = self._loss(rows, present)
        gradients = torch.autograd.grad(parts["loss"].sum(), list(self._leaves.values()))
        optimizer.clip(gradients, self._limits)
        self._adam.step(gradients, rates, None if present is None else present.any(1))
        return {name: value.detach() for name, value in parts.items()}

    def _loss(self, rows: Tensor, present: Tensor | None) -> dict[str, Tensor]:
        """The objective of a batch and its parts."""
        bf16 = self._settings.training_precision == "bf16"
        with torch.autocast(torch.device(self._device).type, torch.bfloat16, enabled=bf16):
            output = self._head.apply(self._params, self._leaves, self._batch(rows), self._drop)
        output = type(output)(*(widened(part, self._dtype) for part in output))
        there = None if present is None else present.to(self._dtype)
        return self._objective(output.logits, output.aligned, self._tensors.labels[rows], there)

    def _batch(self, rows: Tensor) -> tuple[Tensor, ...]:
        return predict.standardised(self._embeddings, self._scales, rows, self._dtype)

    # --- what it takes ----------------------------------------------------------------------------------------

    def probe(self) -> Tensor:
        """The loss of the first training clips of each model, for its memory alone."""
        size = self._settings.training_batch_size
        rows, present = padded([member.model.split.train[:size] for member in self.members], self._device)
        self._drop.begin(self._moments.steps)
        return self._loss(rows, present)["loss"].sum()

    def permanent(self) -> set[int]:
        """Where in memory everything lies that is there between steps as well."""
        kept = [self._weights.block, self._tensors.labels, *self._embeddings]
        return {x.untyped_storage().data_ptr() for x in kept}

    def weight_bytes(self) -> int:
        """Bytes of the weights."""
        return self._weights.block.nbytes

    # --- judging ----------------------------------------------------------------------------------------------

    def _faults(self, found: Mapping[str, Sequence[float]]) -> list[str | None]:
        """What is no longer finite of each model, in words."""
        sound = self._weights.block.sum(1).isfinite()  # one pass where `isfinite` takes four
        if not sound.all():  # a sum of finite numbers may overflow
            sound = self._weights.block.isfinite().all(1)
        faults: list[str | None] = []
        for loss, weights in zip(found["loss"], sound.tolist(), strict=True):
            fault = None if weights else "the weights are no longer finite"
            faults.append(fault if math.isfinite(loss) else f"the training loss became {loss}")
        return faults

    def _validated(self) -> tuple[list[list[float]], list[bool]] | None:
        """Validation metrics of each model, and whether its answers are finite; None: there is nothing to validate."""
        if not self._validation.shape[1]:
            return None
        logits = predict.logits(self._head, self._params, self._leaves, self._batch, self._validation)
        found = scores.score(logits, self._tensors.labels[self._validation], self._present)
        sound = (logits.isfinite().all(-1) | ~self._present).all(1)
        return found.cpu().tolist(), sound.tolist()

    def _note(
        self,
        place: int,
        found: Mapping[str, Sequence[float]],
        faults: Sequence[str | None],
        validated: tuple[list[list[float]], list[bool]] | None,
        seconds: float,
    ) -> dict[str, float] | str:
        """One model's epoch into its curves."""
        member = self.members[place]
        member.epoch += 1
        member.seconds += seconds
        if fault := faults[place]:
            return member.diverged(fault)
        metrics = {name: values[place] for name, values in found.items()}
        if validated is not None and member.model.split.validation:
            if not validated[1][place]:
                return member.diverged(judge.ANSWERS.format(part="validation"))
            metrics |= {f"val_{n}": v for n, v in zip(scores.NAMES, validated[0][place], strict=True)}
        if member.note(metrics):
            self._kept[place] = self._weights.block[place]
        return metrics

    def result(self, place: int) -> FoldResult | str:
        """What a model's fold leaves: its kept weights, judged alone as they will be when they are served."""
        member = self.members[place]
        early = member.model.epochs is None
        block = (self._kept if early else self._weights.block)[place : place + 1].clone()
        trained = judge.Trained(
            model=member.model,
            head=self._head,
            params=self._params,
            weights=Weights(block, self._weights.shapes).views(),
            scales=member.scales,
            dims=self._dims,
            classes=self._classes,
            epochs=member.epoch,
            best_epoch=member.stop.best_epoch if early else member.epoch,
            curves=member.curves,
            seconds=member.seconds,
        )
        found = judge.result(trained, self._tensors)
        return found if isinstance(found, FoldResult) else member.diverged(found)
