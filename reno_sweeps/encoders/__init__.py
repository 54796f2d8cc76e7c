"""One file per family of frozen encoders; each id is a row of facts. Importing this imports nothing heavy."""

from reno_sweeps.encoders._open import convert_encoder as convert_encoder
from reno_sweeps.encoders._open import encoder_facts as encoder_facts
from reno_sweeps.encoders._open import fetch_encoder as fetch_encoder
from reno_sweeps.encoders._open import list_encoders as list_encoders
from reno_sweeps.encoders._open import load_encoder as load_encoder
