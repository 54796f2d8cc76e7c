"""What a finished fold leaves on disk: probabilities by clip, and the weights of the best trial so far."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

from reno_sweeps.files import write_bytes
from reno_sweeps.records import FoldResult, FoldScore, Key, Split, UserError

WRITERS = 8  # threads that wait for the disk
ARRAYS = {"validation_probabilities", "test_probabilities", "weights"}


class FoldFiles:
    """The files of one sweep's folds, below its folder. Written before the ledger names them."""

    def __init__(self, folder: Path, seeds: int = 1) -> None:
        self._folder = folder
        self._seeds = seeds  # a fold

    def write_all(self, folds: Sequence[tuple[Key, FoldResult, Split]]) -> list[FoldScore]:
        """Write the arrays of many folds side by side: what waits for the disk waits together."""
        if len(folds) < 2:
            return [self.write(*fold) for fold in folds]
        with ThreadPoolExecutor(min(WRITERS, len(folds))) as writers:
            return list(writers.map(lambda fold: self.write(*fold), folds))

    def write(self, key: Key, result: FoldResult, split: Split) -> FoldScore:
        """Write the arrays of a fold (float16 probabilities by row) and its weights; return what the ledger keeps."""
        import numpy as np
        from safetensors.numpy import save

        place = f"{_slug(key.owner)}-r{key.repeat}-f{key.fold}.safetensors"
        arrays = {}
        for part, rows in (("validation", split.validation), ("test", split.test)):
            probabilities = getattr(result, f"{part}_probabilities")
            if probabilities is not None and len(rows):
                arrays[f"{part}_rows"] = np.asarray(rows, dtype=np.int32)
                arrays[f"{part}_probabilities"] = np.asarray(probabilities, dtype=np.float16)
        content = save(arrays)
        write_bytes(self._folder / "folds" / place, content)
        if result.weights is not None:
            weights = {name: np.ascontiguousarray(array) for name, array in result.weights.items()}
            write_bytes(self._folder / "weights" / _slug(key.owner) / place, save(weights))
        kept = {f.name: getattr(result, f.name) for f in fields(FoldResult) if f.name not in ARRAYS}
        sha256 = hashlib.sha256(content).hexdigest()
        return FoldScore(
            repeat=key.repeat, fold=key.fold, file=f"folds/{place}", sha256=sha256, seeds=self._seeds, **kept
        )

    def intact(self, score: FoldScore) -> bool:
        """Whether the file that the ledger names is there, below the sweep's folder, unchanged."""
        file = self._folder / score.file
        if ".." in Path(score.file).parts or Path(score.file).is_absolute():
            return False
        return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == score.sha256

    def read(self, score: FoldScore) -> Mapping[str, Any]:
        """The arrays of a fold: validation_rows, validation_probabilities, test_rows, test_probabilities."""
        return _arrays(self._folder / score.file)

    def read_weights(self, owner: str, score: FoldScore) -> Mapping[str, Any] | None:
        """The weights of a fold, as its FoldResult had them; None: they are not kept."""
        file = self._folder / "weights" / _slug(owner) / Path(score.file).name
        return _arrays(file) if file.is_file() else None

    def weights_of(self, owner: str) -> list[Path]:
        """The files of a trial's weights, fold by fold; empty where they are not kept."""
        return sorted((self._folder / "weights" / _slug(owner)).glob("*.safetensors"))

    def drop_weights_of(self, owner: str) -> None:
        """Remove the weights of a trial that is not the best."""
        shutil.rmtree(self._folder / "weights" / _slug(owner), ignore_errors=True)

    def keep_weights_of(self, owners: set[str]) -> None:
        """Remove the weights of every trial but these: the best so far, and those still training."""
        kept = {_slug(owner) for owner in owners}
        for place in (self._folder / "weights").glob("*"):
            if place.name not in kept:
                shutil.rmtree(place, ignore_errors=True)


def _arrays(file: Path) -> Mapping[str, Any]:
    """Every array of a file; a UserError where it is damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays: Mapping[str, Any] = load(file.read_bytes())
    except (SafetensorError, LookupError, ValueError, TypeError, AttributeError) as fault:
        raise UserError(
            f"{file} is damaged ({fault})\nremove it and call reno-sweep resume: the fold is trained again"
        ) from fault
    return arrays


def _slug(owner: str) -> str:
    """'trial 17' → 'trial-0017': names that sort, and that no file system minds."""
    return "-".join(word.zfill(4) if word.isdigit() else word for word in owner.split())
