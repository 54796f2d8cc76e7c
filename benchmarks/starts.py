"""Where both sides begin: the same initial weights and the same order of clips for each fold, by the protocol's seed.

Models of one side begin alike in every trial. Were the other's to begin elsewhere, whoever is luckier with that by a
clip or two would win a race between good configurations, however slow. What is left to chance is dropout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reno_sweeps import catalogue, space
from reno_sweeps.records import Key, Model, seed_from
from reno_sweeps.training.configuration import resolve

if TYPE_CHECKING:
    from material import Material

NAMES = {  # ours → those of naive.Reno
    ".conv1.": ".trunk.0.", ".conv2.": ".trunk.3.", ".attention.inner.": ".attend.in_proj_",
    ".attention.outer.": ".attend.out_proj.", ".attention.norm.": ".norm.", ".align.": ".project.",
    "fusion.inner.": "attend.in_proj_", "fusion.outer.": "attend.out_proj.", "fusion.norm.": "norm.",
    "classifier.0.": "classify.0.", "classifier.1.": "classify.3.", "classifier.2.": "classify.6.",
}  # fmt: skip


def starts(given: Material, seed: int, epochs: int) -> dict[str, np.ndarray]:
    """`fold/name` → initial weights as torch.nn has them; `fold/order` → clips' places [epochs, training clips]."""
    import torch

    from reno_sweeps.training.member import generator

    head, values = catalogue.load("heads", "reno"), resolve("reno", {}, {})
    dims = tuple(x.shape[1] for x in given.vectors.values())
    found = {}
    for fold, split in enumerate(given.splits()):
        model = Model(Key("start", 0, fold), "reno", tuple(given.vectors), values, seed_from(seed, 0, fold), split)
        drawn = head.init(
            space.build(head.Params, values), dims, len(given.corpus.classes), generator(model, "init"), torch.float32
        )
        found |= {f"{fold}/{renamed(name)}": w.permute(*reversed(range(w.dim()))).numpy() for name, w in drawn.items()}
        dice = generator(model, "order")
        orders = [torch.randperm(len(split.train), generator=dice) for _ in range(epochs)]
        found[f"{fold}/order"] = torch.stack(orders).numpy()
    return found


def renamed(name: str) -> str:
    """A weight's name in naive.Reno."""
    for ours, theirs in NAMES.items():
        if ours in name:
            return name.replace(ours, theirs)
    raise ValueError(f"naive.Reno has no {name}")
