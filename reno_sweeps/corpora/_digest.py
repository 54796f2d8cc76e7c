"""What a corpus holds, as one hash: its clips and, where asked, the bytes of their recordings."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

from reno_sweeps.records import Corpus, UserError, digest


def content_digest(corpus: Corpus, with_audio: bool, skip_broken: bool = False) -> str:
    """SHA-256 (64 hex digits) of every clip's (path, label, speaker, fold) and, `with_audio`, of its recording.

    Where the corpus lies and what it is called do not matter. A UserError counts the recordings that are
    missing; with `skip_broken` they only change the hash.
    """
    clips = [[clip.path, clip.label, clip.speaker, clip.fold] for clip in corpus.clips]
    if not with_audio:
        return digest({"clips": clips})
    return digest({"clips": clips, "audio": corpus.content or _recordings(corpus, skip_broken)})


def file_digest(file: Path) -> str:
    """SHA-256 (64 hex digits) of a file's bytes; an OSError for a pipe or a device, which may never end."""
    if not file.is_file():
        file.stat()  # what is not there says so itself
        raise OSError(errno.EINVAL, "no regular file", str(file))
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _recordings(corpus: Corpus, skip_broken: bool) -> list[str | None]:
    found: list[str | None] = []
    missing: list[str] = []
    for clip in corpus.clips:
        try:
            found.append(file_digest(corpus.root / clip.path))
        except OSError as fault:
            found.append(None)
            missing.append(f"{clip.path} ({fault.strerror})")
    if missing and not skip_broken:
        raise UserError(
            f"corpus {corpus.id}: {len(missing)} of {len(corpus.clips)} recordings in {corpus.root} cannot be read: "
            f"{', '.join(missing[:3])}\ncorrect the paths, or leave those clips out with --skip-broken"
        )
    return found
