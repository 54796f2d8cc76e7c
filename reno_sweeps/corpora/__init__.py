"""One file per corpus: facts, read(root), miniature(root). Listing one imports nothing heavy."""

from reno_sweeps.corpora._digest import content_digest as content_digest
from reno_sweeps.corpora._open import base_name as base_name
from reno_sweeps.corpora._open import open_corpus as open_corpus
from reno_sweeps.corpora._open import prepare as prepare
