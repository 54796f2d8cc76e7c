"""What is trained outside the budget (baselines, refits): kept as facts of the sweep, a model at a time, once."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from reno_sweeps.records import EpochEnded, Event, FoldFailed, FoldScore, Key, Model, Split
from reno_sweeps.search.fold_files import FoldFiles
from reno_sweeps.search.ledger import Ledger

logger = logging.getLogger(__name__)


class Extras:
    """The models beside the search that train now, and the scores of those that have."""

    def __init__(self, ledger: Ledger, files: FoldFiles) -> None:
        self._ledger, self._files = ledger, files
        self.training: dict[Key, Split] = {}

    def begin(self, models: Sequence[Model]) -> list[Model]:
        """Those that have to be trained: no score is stored, or its file is lost."""
        todo = [m for m in models if (s := self.score(m.key)) is None or not self._files.intact(s)]
        self.training = {model.key: model.split for model in todo}
        return todo

    def score(self, key: Key) -> FoldScore | None:
        """The stored score of a model."""
        plain: Mapping[str, object] | None = self._ledger.facts.get(f"extra:{key.owner}:{key.repeat}:{key.fold}")
        return None if plain is None else FoldScore.from_dict(plain)

    def hear(self, event: Event, score: FoldScore | None) -> None:
        """Take in an event of a model that trains; `score` where it has finished."""
        if isinstance(event, EpochEnded):
            return
        if score is not None:
            self._ledger.keep(f"extra:{event.key.owner}:{event.key.repeat}:{event.key.fold}", score.to_dict())
        elif isinstance(event, FoldFailed):
            logger.warning("%s, fold %d failed: %s", event.key.owner, event.key.fold, event.reason)
        del self.training[event.key]

    def owners(self) -> set[str]:
        """Owners of every stored score."""
        return {key.removeprefix("extra:").rsplit(":", 2)[0] for key in self._ledger.facts if key.startswith("extra:")}
