"""What the corpora's tests share: the real file lists as trees of empty files, a web site."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from reno_sweeps.corpora import vivae
from tests.corpora.site import Site, serve, zipped_folder

LISTINGS = Path(__file__).parents[3] / "shared" / "listings"


def grow(root: Path, paths: list[str]) -> Path:
    """Empty files at `paths` below `root`: reading a corpus opens none of them."""
    for folder in {path.rpartition("/")[0] for path in paths}:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for path in paths:
        (root / path).touch()
    return root


def _listed(name: str) -> list[str]:
    file = LISTINGS / f"{name}.csv"
    if not file.is_file():
        pytest.skip(f"the corpora's real file lists are not at hand: {file} is absent")
    with file.open(newline="", encoding="utf-8") as text:
        return [row["path"] for row in csv.DictReader(text)]


@pytest.fixture(scope="session")
def asvp_listing() -> list[str]:
    """The 13,964 paths of ASVP-ESD."""
    return _listed("asvp_esd")


@pytest.fixture(scope="session")
def vivae_listing() -> list[str]:
    """The 1,085 paths of VIVAE's full set."""
    return _listed("vivae")


@pytest.fixture(scope="session")
def asvp_tree(asvp_listing, tmp_path_factory) -> Path:
    """ASVP-ESD's real file list, grown once; read only."""
    return grow(tmp_path_factory.mktemp("asvp") / "ASVP-ESD-Update", asvp_listing)


@pytest.fixture(scope="session")
def vivae_tree(vivae_listing, tmp_path_factory) -> Path:
    """VIVAE's real file list with a core set beside it (480 of the same names); read only."""
    core = sorted(path.replace("full_set", "core_set") for path in vivae_listing)[:480]
    return grow(tmp_path_factory.mktemp("vivae") / "download", [*vivae_listing, *core])


@pytest.fixture
def site(tmp_path_factory, monkeypatch) -> Iterator[Site]:
    """A site on this machine that serves VIVAE's miniature as Zenodo would."""
    for variable in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    served = Site(zipped_folder(vivae.miniature(tmp_path_factory.mktemp("vivae"))))
    server = serve(served)
    yield served
    server.shutdown()
    server.server_close()
