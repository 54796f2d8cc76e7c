"""No key, token or password stands in a tracked file: a scan of our own, offline, without a list of exceptions."""

from __future__ import annotations

import math
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LARGEST = 2_000_000  # bytes; what is larger is data
KINDS = {
    "private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----",
    "AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})",
    "GitLab token": r"\bglpat-[A-Za-z0-9_-]{20,}",
    "Hugging Face token": r"\bhf_[A-Za-z0-9]{30,}",
    "PyPI token": r"\bpypi-[A-Za-z0-9_-]{50,}",
    "Slack token": r"\bxox[abposr]-[A-Za-z0-9-]{10,}",
    "Google key": r"\bAIza[0-9A-Za-z_-]{35}\b",
    "key of an AI service": r"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,}",
    "JSON web token": r"\beyJ[A-Za-z0-9_-]{15,}\.eyJ[A-Za-z0-9_-]{15,}\.[A-Za-z0-9_-]{15,}",
    "netrc entry": r"(?m)^machine\s+\S+\s+login\s+\S+\s+password\s+\S+",
}
NAMED = re.compile(
    r"(?i)[\w.-]*(?:secret|token|passw(?:or)?d|api_?key|access_?key)[\w.-]*"
    r"[\"']?[ \t]*[:=][ \t]*[\"']?([A-Za-z0-9+/_=-]{20,})"
)
RANDOM = 4.0  # bits a letter: random base64 of 32 letters has 4.5, words and paths stay below 3.8


def findings(text: str) -> list[str]:
    """What in a text looks like a secret: its kind and its first letters."""
    found = [f"{kind}: {hit[:12]}…" for kind, pattern in KINDS.items() for hit in re.findall(pattern, text)]
    return found + [f"a named secret: {hit[:8]}…" for hit in NAMED.findall(text) if entropy(hit) > RANDOM]


def entropy(word: str) -> float:
    """Bits a letter."""
    shares = [count / len(word) for count in Counter(word).values()]
    return -sum(share * math.log2(share) for share in shares)


def tracked() -> list[Path]:
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=False, text=True)
    if done.returncode:
        pytest.skip("the tracked files are not known: this is no git checkout, or git is absent")
    return [ROOT / name for name in done.stdout.split("\0") if name]


def test_no_tracked_file_holds_a_secret() -> None:
    found = {}
    for file in tracked():
        if file.is_file() and file.stat().st_size <= LARGEST and (said := findings(file.read_text(errors="replace"))):
            found[str(file.relative_to(ROOT))] = said

    assert found == {}


def test_no_tracked_file_is_one_that_holds_secrets() -> None:
    names = {file.name for file in tracked()}

    assert not {
        n for n in names if re.fullmatch(r"\.env|\.netrc|\.pypirc|id_(rsa|ed25519|ecdsa)|.*\.(pem|p12|pfx|key)", n)
    }


RANDOM_WORD = "q7Zp2Xv9Lk4R" + "t8Wm1Ns6Bd3F"  # in two halves: this file is scanned, too


@pytest.mark.parametrize(
    "secret",
    [
        "-----BEGIN " + "RSA PRIVATE KEY-----",
        "-----BEGIN " + "PRIVATE KEY-----",
        "AKIA" + "7" * 16,
        "ghp_" + "a1B2" * 9,
        "hf_" + "aBcD" * 9,
        "xoxb-" + "1234567890-abc",
        "pypi-" + "AgEI" * 15,
        "API_TOKEN=" + RANDOM_WORD,
        f'"password": "{RANDOM_WORD}"',
    ],
)
def test_the_scan_finds_what_is_planted(secret: str) -> None:
    assert findings(f"some text\n{secret}\nmore")


@pytest.mark.parametrize(
    "harmless",
    [
        "token = folder / 'token'",
        "password: ${POSTGRES_PASSWORD}",
        "S3_SECRET_KEY=\nMLFLOW_ADMIN_USERNAME=administrator_of_all",
        "RAY_AUTH_TOKEN_PATH=/run/secrets/ray/auth_token_file",
    ],
)
def test_the_scan_lets_words_be(harmless: str) -> None:
    assert findings(harmless) == []
