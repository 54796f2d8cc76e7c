"""An address follows what makes an embedding what it is, and nothing else."""

from __future__ import annotations

import pytest

from reno_sweeps.embeddings.address import FACTS, address
from reno_sweeps.encoders import encoder_facts


@pytest.mark.parametrize("fact", FACTS)
def test_every_fact_counts(fact):
    facts = encoder_facts("mfcc")

    assert address("sound", facts | {fact: "other"}) != address("sound", facts)


def test_the_sound_counts_and_nothing_beside_the_facts_does():
    facts = encoder_facts("mfcc")

    assert address("other sound", facts) != address("sound", facts)
    assert address("sound", facts | {"device": "cuda"}) == address("sound", facts)
