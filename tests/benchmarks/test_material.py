"""Both sides of every benchmark are given the same, and it is what users search."""

from __future__ import annotations

from pathlib import Path

import material
import numpy as np
import sweeps

from reno_sweeps.config.sweep_file import load
from reno_sweeps.corpora import manifest
from reno_sweeps.encoders import file as vectors
from reno_sweeps.space import distribution_to_dict


def test_the_search_is_that_of_rd_params(tmp_path: Path) -> None:
    asked = {"epochs": 1, "patience": 1, "n_folds": 5, "sampler": "random", "pruner": "none", "seed": 0}
    file = material.write_space(
        tmp_path / "bench.yaml", {**material.space(2, **asked), "encoders": ["mfcc", "log-mel"]}
    )

    found, shipped = load(str(file)).search, load("rd_params").search

    assert {n: distribution_to_dict(d) for n, d in found.items()} == {
        n: distribution_to_dict(d) for n, d in shipped.items()
    }


def test_what_is_written_for_a_sweep_is_what_the_peer_has(tmp_path: Path) -> None:
    given = material.clusters(clips=60, widths=(8, 9), n_folds=2)

    table, encoders = given.write(tmp_path)

    corpus = manifest.read(table)
    assert corpus.clips == given.corpus.clips
    for encoder, own in zip(encoders, given.vectors.values(), strict=True):
        read = vectors.vectors(vectors.path_of(encoder), [clip.path for clip in corpus.clips])
        np.testing.assert_array_equal(read, own)


def test_the_fifth_fold_stops_and_selects() -> None:
    for split in material.clusters(clips=60, widths=(8, 9)).splits():
        assert split.validation == split.test
        assert not set(split.train) & set(split.validation)


def test_proposals_are_inside_the_space_and_differ() -> None:
    found = sweeps.proposals(20, seed=3)

    assert found == sweeps.proposals(20, seed=3)
    assert len({tuple(sorted(values.items())) for values in found}) == 20
    for values in (*found, *material.configurations(20)):
        assert set(values) == set(material.SEARCH)
        for name, one in material.SEARCH.items():
            assert values[name] in one.get("choices", [values[name]])
            assert one.get("low", -np.inf) <= values[name] <= one.get("high", np.inf)


def test_real_embeddings_follow_the_manifest(shared_data: Path) -> None:
    given = material.real(shared_data / "emogator6")

    assert [x.shape for x in given.vectors.values()] == [(1530, 256), (1530, 256)]
    assert given.n_folds == 5
    assert len(given.splits()) == 5
