"""What every corpus must hold before anything is trained on it."""

from __future__ import annotations

import dataclasses

from reno_sweeps.records import Corpus, UserError


def checked(corpus: Corpus) -> Corpus:
    """The corpus with its clips in the order of their paths; a UserError where there is nothing to learn from it."""
    corpus = dataclasses.replace(corpus, clips=tuple(sorted(corpus.clips, key=lambda clip: clip.path)))
    if not corpus.clips:
        left_out = f" ({len(corpus.skipped)} files left out, the first: {_first(corpus)})" if corpus.skipped else ""
        raise UserError(f"corpus {corpus.id}: no clips in {corpus.root}{left_out}")
    if len(corpus.classes) == 1:
        only = corpus.classes[0]
        raise UserError(
            f"corpus {corpus.id}: all {len(corpus.clips)} clips are labelled {only!r}\n"
            "a classifier needs clips of two emotions or more"
        )
    for before, clip in zip(corpus.clips, corpus.clips[1:], strict=False):
        if before.path == clip.path:
            raise UserError(f"corpus {corpus.id}: two clips are named {clip.path}; a path names one clip")
    return corpus


def _first(corpus: Corpus) -> str:
    return f"{corpus.skipped[0].path}: {corpus.skipped[0].why}"
