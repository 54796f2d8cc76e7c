"""What surrounds an encoder while it computes: the device that was asked for, no gradients, and float32 as it is."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from reno_sweeps.records import UserError

_lock = threading.Lock()
_within = 0  # computations under way, in all threads
_restore: Callable[[], None] = lambda: None  # noqa: E731  # what the first of them found


def present(name: str, device: str) -> None:
    """Refuse a GPU that is not there, before any weights are read."""
    import torch

    if device.partition(":")[0] == "cuda" and not torch.cuda.is_available():
        raise UserError(f"encoder {name}: there is no CUDA device here; on offer: cpu")


@contextlib.contextmanager
def exact() -> Iterator[None]:
    """No gradients; float32 products keep all their digits whatever the program around allows (TF32 keeps 10 bits).

    Those settings are the whole process's. Threads may compute at once: the first switches, the last switches back.
    """
    import torch

    _enter()
    try:
        with torch.inference_mode():
            yield
    finally:
        _leave()


def _enter() -> None:
    global _within, _restore  # noqa: PLW0603  # as torch's settings are
    with _lock:
        if _within == 0:
            _restore = _switched()
        _within += 1


def _leave() -> None:
    global _within  # noqa: PLW0603
    with _lock:
        _within -= 1
        if _within == 0:
            _restore()


def _switched() -> Callable[[], None]:
    """Forbid products in fewer digits; what is returned allows again what was allowed."""
    import torch

    try:
        products, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    except RuntimeError:  # the program has used torch's newer settings, one for each kind of operation
        return _each_switched()

    def back() -> None:
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions

    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    return back


def _each_switched() -> Callable[[], None]:
    import torch

    backends: Any = torch.backends  # its types do not know what it offers
    kinds = (backends.cuda.matmul, backends.cudnn.conv, backends.mkldnn.matmul, backends.mkldnn.conv)
    before = [kind.fp32_precision for kind in kinds]

    def back() -> None:
        for kind, said in zip(kinds, before, strict=True):
            kind.fp32_precision = said

    for kind in kinds:
        kind.fp32_precision = "ieee"
    return back
