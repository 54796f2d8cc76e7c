"""Several drivers of one sweep: who does what comes after the search, and what the others wait for."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reno_sweeps.app.opening import Opened
    from reno_sweeps.search.ledger import Ledger

logger = logging.getLogger(__name__)

LOOK = 1.0  # seconds between two looks at what another driver does


def wait_for_end(ledger: Ledger, trials: int, interrupted: Callable[[], bool]) -> bool | None:
    """Whether baselines and refits of a search of so many trials are this driver's to do.

    Of several drivers one does them, and the others wait for it; where it dies another does. False: they are done;
    None: interrupted.
    """
    said = False
    while not ledger.take_end():
        if ledger.facts.get("done") == trials:
            return False
        if not said:
            others = ", ".join(f"process {other.pid} on {other.host}" for other in ledger.others)
            logger.warning("the search is over; %s trains baselines and refits: waiting for them", others)
            said = True
        if interrupted():
            return None
        time.sleep(LOOK)
    return True


def reach_storage(opened: Opened) -> None:
    """A database that does not answer, or whose schema is another's, is said before recordings are decoded."""
    from reno_sweeps.search.storage import is_local, open_storage

    if not is_local(opened.settings.storage):
        open_storage(opened.settings.storage).engine.dispose()
