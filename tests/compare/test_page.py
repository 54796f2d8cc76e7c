"""The page about statistics runs as it is printed, and states each assumption in the code's own words."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from reno_sweeps.compare import bayes, bootstrap, corrected_t, holm, mcnemar, signed_rank

PAGE = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text(encoding="utf-8")
ASSUMPTIONS = [module.ASSUMPTION for module in (bayes, corrected_t, holm, mcnemar, signed_rank)]


def test_the_example_runs_and_speaks():
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()

    assert said[0].startswith("reno is better by 2.4 points, 95 % interval ")
    assert "with probability" in said[2]
    assert "24 speakers" in said[3]


@pytest.mark.parametrize("sentence", [*ASSUMPTIONS, bootstrap.BY_CLIP, bootstrap.BY_SPEAKER])
def test_each_assumption_is_one_sentence_and_on_the_page(sentence):
    assert sentence.count(".") == 1
    assert sentence.endswith(".")
    assert f'"{sentence}"' in " ".join(PAGE.split())


def test_every_function_that_it_names_exists():
    names = re.findall(r"`(\w+)\.(\w+)`", PAGE)
    loaded = {module: __import__(f"reno_sweeps.compare.{module}", fromlist=[name]) for module, name in names}

    assert len(names) >= 8
    assert all(callable(getattr(loaded[module], name)) for module, name in names)
