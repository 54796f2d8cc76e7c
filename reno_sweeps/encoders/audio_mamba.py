"""Audio-Mamba (SSAM) tiny, small and base in plain PyTorch, frozen: the mean over 40 ms rows, as the paper takes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from reno_sweeps.audio import RATE
from reno_sweeps.encoders._exact import exact
from reno_sweeps.encoders._mamba_sizes import PAGE, ROWS, TIMES, Asked, parse
from reno_sweeps.encoders._mamba_weights import convert as _convert
from reno_sweeps.encoders._mamba_weights import digest, whole
from reno_sweeps.encoders._options import agreed
from reno_sweeps.records import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from reno_sweeps.encoders._mamba_model import Network

__all__ = ["PREFIX", "ROWS", "VERSION", "AudioMamba", "at_hand", "convert", "facts", "fetch", "load", "usable"]
PREFIX = None  # its ids are the rows'; options stand behind '@'
VERSION = "1"  # raise it when a clip's vector changes: it is part of the cache's address
AT_ONCE = {"cpu": 4, "cuda": 64}  # chunks in one pass: measured on a CPU; on a GPU base's largest tensor has 0.3 GB


def facts(name: str, weights: str | None = None, download: bool = False) -> dict[str, Any]:
    """The address facts of a size: its weights are known by the hash of the tensors used, whatever file holds them."""
    asked = parse(name)
    return _facts(asked, digest(asked.name, _place(asked, weights, download)))


def at_hand(name: str) -> bool:  # noqa: ARG001
    """Never by itself: the weights are where the user has put them (--weights, or below RENO_WEIGHTS)."""
    return False


def usable(name: str, folder: Path) -> bool:
    """Whether a folder holds the weights of that size, by their names and shapes."""
    return whole(parse(name).name, folder)


def load(
    name: str, weights: str | None = None, device: str = "cpu", precision: str = "float32", download: bool = False
) -> AudioMamba:
    """The encoder of a size, from an official run's folder, a checkpoint, a state dict or safetensors.

    Behind the id: `@pooling=mean-std` appends the deviation over rows; `@layout=natural` puts the five band groups of
    one time into a row, where the released code, and so the default, mixes times (`_mamba_model.regrouped`);
    `@precision=bf16|fp16`, on a GPU, does matrix products in half precision and all else in float32.
    """
    import torch

    from reno_sweeps.encoders import _mamba_model, _mamba_weights

    asked = parse(name)
    chosen = agreed(name, asked.precision, precision, device)
    found = _mamba_weights.load(asked.name, _place(asked, weights, download))
    half = None if chosen == "float32" else getattr(torch, chosen)
    tensors = {key: torch.from_numpy(array) for key, array in found.arrays.items()}
    net = _mamba_model.network(tensors, device, half)
    return AudioMamba(name, _facts(asked, found.digest) | {"precision": chosen}, net, asked)


def fetch(name: str) -> NoReturn:
    """Never: the official weights lie in a Google Drive folder, which a person must open."""
    base = parse(name).name
    raise UserError(
        f"encoder {base}: its official weights lie in a Google Drive folder linked from {PAGE}\n"
        f"get the folder {_run(base)} there by hand\n"
        f"then: reno-sweep encoders convert {base} DIR -o $RENO_WEIGHTS/{base}, or --weights {base}=DIR"
    )


def convert(name: str, source: Path, target: Path) -> dict[str, Any]:
    """An official checkpoint as `target`/model.safetensors, with the hashes of what was read and written."""
    return _convert(parse(name).name, source, target)


class AudioMamba:
    """A frozen Audio-Mamba: log-mel, standardised over the clip; chunks of two seconds; a row each 40 ms; their mean.

    Rows are grouped as the released code groups them unless the id says `@layout=natural`.
    A clip shorter than 201 samples is padded with zeros at its end to that length, which its reflected ends need.
    Digital silence is heard as a picture of zeros (the official code divides its rounding errors by themselves).
    """

    def __init__(self, name: str, facts: Mapping[str, Any], net: Network, asked: Asked) -> None:
        self.id, self.facts = name, facts
        self._net, self._asked = net, asked
        self._device = net.first.device
        self.dim = 5 * net.width * (2 if asked.deviation else 1)

    def embed(self, clips: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Vectors [n, dim] of n recordings (1-D float32 at 16 kHz); chunks of several clips share a pass."""
        import numpy as np

        vectors = np.zeros((len(clips), self.dim), np.float32)
        with exact():
            for number, rows in enumerate(self._timed(clips)):
                vectors[number] = self._pooled(rows).cpu().numpy()
        return vectors

    def timestamps(self, clip: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Rows [M, 5D], M = ceil(frames / 4), and their times in ms [M]: from 0, spaced evenly over the clip."""
        import numpy as np

        with exact():
            (rows,) = (rows.cpu().numpy() for rows in self._timed([clip]))
        spacing = len(clip) / RATE / len(rows) * 1000
        return rows, (np.arange(len(rows)) * spacing).astype(np.float32)

    def _pooled(self, rows: Tensor) -> Tensor:
        import torch

        mean = rows.mean(dim=0)
        return torch.cat([mean, rows.std(dim=0, correction=0)]) if self._asked.deviation else mean

    def _timed(self, clips: Sequence[NDArray[np.float32]]) -> Iterator[Tensor]:
        """The rows [M, 5D] of each clip in turn; no more chunks than a pass takes are held at once."""
        import torch

        from reno_sweeps.encoders._mamba_model import encoded, regrouped

        gathered: list[Tensor] = []
        for batch in _batches(self._chunks(clips), AT_ONCE.get(self._device.type, AT_ONCE["cpu"])):
            grouped = regrouped(encoded(self._net, torch.stack([chunk for chunk, _, _ in batch])), self._asked.layout)
            for (_, kept, last), rows in zip(batch, grouped, strict=True):
                gathered.append(rows[:kept])
                if last:
                    yield torch.cat(gathered)
                    gathered = []

    def _chunks(self, clips: Sequence[NDArray[np.float32]]) -> Iterator[tuple[Tensor, int, bool]]:
        """Every clip's chunks [200, 80], how many rows of each count, and whether it is the clip's last."""
        import numpy as np
        import torch

        from reno_sweeps.encoders._mamba_front import chunked, log_mel, rows_of, standardised

        for clip in clips:
            picture = standardised(log_mel(torch.from_numpy(np.array(clip, np.float32)).to(self._device)))
            chunks, left = chunked(picture), rows_of(len(picture))
            for number, chunk in enumerate(chunks, start=1):
                yield chunk, min(left, TIMES), number == len(chunks)
                left -= TIMES


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _facts(asked: Asked, weights: str) -> dict[str, Any]:
    return {
        "encoder": asked.name,
        "weights": weights,
        "layer": None,
        "pooling": asked.pooling,
        "precision": asked.precision or "float32",
        "normalize": False,  # the waveform is taken as it is
        "code": VERSION,
    }


def _place(asked: Asked, weights: str | None, download: bool) -> Path:
    if weights is None and download:
        fetch(asked.name)
    if weights is None:
        raise UserError(
            f"encoder {asked.name}: no weights given\nget {_run(asked.name)} by hand from {PAGE}\n"
            f"then: --weights {asked.name}=DIR, or put them in $RENO_WEIGHTS/{asked.name}"
        )
    return Path(weights).expanduser()


def _run(base: str) -> str:
    """The name of a size's official run."""
    return f"ssam_{base.rpartition('-')[2]}_200_16x4_4x256_fp16_r1"
