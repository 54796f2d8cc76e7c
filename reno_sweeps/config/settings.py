"""Where and how a command runs: options, environment, a space file's `run:` section and defaults, in this order."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from reno_sweeps.records import UserError

_ENVIRONMENT = {
    "home": "RENO_HOME",
    "cache": "RENO_CACHE",
    "corpora": "RENO_CORPORA",
    "tracking_uri": "MLFLOW_TRACKING_URI",
    "storage": "RENO_STORAGE",  # its password stays off the command line, which others on the machine can read
    "ray_address": "RENO_RAY_ADDRESS",
}
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql", "oracle")
_SERVERS = ("http", "https", "databricks")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SECRET = re.compile(r"([?&][a-z_-]*(?:password|passwd|pwd|token|secret|key)=)[^&#\s'\"]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything about a run that does not change its question; paths are absolute."""

    home: Path  # all results; deleting it is safe for the cache
    cache: Path  # embeddings; nothing that cannot be computed again
    tracking_uri: str  # MLflow's store
    storage: str  # Optuna's storage, an SQLAlchemy URL
    name: str | None = None  # of the sweep; none: <space>-<hex>
    corpora: Path | None = None  # named corpora, one folder per id
    ray_address: str | None = None  # none: this machine alone
    device: str = "auto"  # auto, cpu, cuda; never silently another
    gpus: int | None = None  # none: auto, all that are visible
    cohort: int | None = None  # configurations trained together; none: auto
    workers: int | None = None  # processes that embed clips; none: auto
    experiment: str | None = None  # none: reno/<corpus>
    download: bool = False  # whether missing weights may be fetched
    skip_broken: bool = False  # whether unreadable clips are left out
    skip_missing: bool = False  # whether cells whose encoders have no weights here are left out
    max_failed: int = 0  # failed trials before the sweep gives up
    baselines: bool = True  # whether linear and majority are trained at the end
    controls: bool = False  # whether the winner is also trained on shuffled labels
    umap: bool = False  # whether the embeddings are also mapped by UMAP

    @property
    def shared(self) -> bool:
        """Whether both stores are servers, so that several drivers may use them from one home."""
        return not any(_scheme(uri) == "sqlite" for uri in (self.tracking_uri, self.storage))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; `Settings.from_dict` reads it back."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: str(value) if isinstance(value, Path) else value for name, value in plain.items()}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Settings:
        """The settings that `to_dict` wrote."""
        folders = {n: Path(plain[n]) for n in ("home", "cache", "corpora") if plain.get(n) is not None}
        return cls(**{**plain, **folders})


def gather(
    options: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    file: Mapping[str, Any] | None = None,
) -> Settings:
    """The settings of one command; a UserError names the option, variable or key that is wrong.

    `options`: by field name, None where not given; `file`: the `run:` section of a space. What is said in several
    places counts in this order: option, environment, file, default.
    """
    said = _Said(options or {}, os.environ if environment is None else environment, file or {})
    home = said.folder("home", Path("reno-runs"))
    return Settings(
        home=home,
        cache=said.folder("cache", _user_cache(said.environment)),
        tracking_uri=said.tracking_uri(_sqlite(home / "mlflow.db")),
        storage=said.storage(_sqlite(home / "studies.db")),
        name=said.name(),
        corpora=said.folder("corpora", None),
        ray_address=said.ray_address(),
        device=said.device(),
        gpus=said.whole("gpus", least=0),
        cohort=said.whole("cohort", least=1),
        workers=said.whole("workers", least=1),
        experiment=said.text("experiment"),
        download=said.flag("download", default=False),
        skip_broken=said.flag("skip_broken", default=False),
        skip_missing=said.flag("skip_missing", default=False),
        max_failed=said.whole("max_failed", least=0) or 0,
        baselines=said.flag("baselines", default=True),
        controls=said.flag("controls", default=False),
        umap=_there(said.flag("umap", default=False)),
    )


def _there(wanted: bool) -> bool:
    if wanted and find_spec("umap") is None:
        raise UserError('--umap: umap-learn is not installed\npip install "reno-sweeps[umap]"')
    return wanted


def masked(uri: str) -> str:
    """A URI as it may be shown, or a text with URIs in it: passwords and tokens as three stars."""
    plain = re.sub(r"(?<=://)([^:/@\s]*):[^@\s]*@", r"\1:***@", uri)
    return _SECRET.sub(r"\1***", plain)


class _Said:
    """What option, environment and file say of one field, and who said it."""

    def __init__(self, options: Mapping[str, Any], environment: Mapping[str, str], file: Mapping[str, Any]) -> None:
        self.options, self.environment, self.file = options, environment, file

    def value(self, name: str) -> tuple[Any, str]:
        """The value and the words for where it was said; (None, …) where nobody said anything."""
        variable = _ENVIRONMENT.get(name, "")
        if self.options.get(name) is not None:
            return self.options[name], f"--{name.replace('_', '-')}"
        if self.environment.get(variable):
            return self.environment[variable], variable
        return self.file.get(name), f"run.{name} of the space file"

    def text(self, name: str) -> str | None:
        """Text as it was said; a UserError for anything else."""
        value, who = self.value(name)
        if value is not None and (not isinstance(value, (str, Path)) or not str(value).strip()):
            raise UserError(f"{who} {str(value)!r}: text is expected")
        return None if value is None else str(value)

    def folder(self, name: str, default: Path | None) -> Any:
        """An absolute folder; it need not exist. None only where `default` is None."""
        text, (_, who) = self.text(name), self.value(name)
        path = default if text is None else Path.home() / text[2:] if text.startswith("~/") else Path(text)
        if path is None:
            return None
        path = path.absolute()
        if "?" in str(path) or "\0" in str(path):
            raise UserError(f"{who} {str(path)!r}: a database's address cannot hold '?'\nChoose another folder")
        if _is_file(path):
            raise UserError(f"{who} {str(path)!r} is a file\nGive a folder; it is made if it is absent")
        return path

    def tracking_uri(self, default: str) -> str:
        """MLflow's store: a database or a server; MLflow 3 opens no folders."""
        uri = self.text("tracking_uri")
        if uri is None:
            return default
        if _scheme(uri) not in (*_DATABASES, *_SERVERS):
            who = self.value("tracking_uri")[1]
            offer = "On offer: sqlite:///FILE.db, postgresql://…, http://HOST:PORT"
            raise UserError(f"{who} {masked(uri)!r}: MLflow opens databases and servers, no folders\n{offer}")
        return _lasting(uri, self.value("tracking_uri")[1])

    def storage(self, default: str) -> str:
        """Optuna's storage: a database."""
        url = self.text("storage")
        if url is None:
            return default
        who = self.value("storage")[1]
        if _scheme(url) not in _DATABASES:
            hint = (
                "Write postgresql://" if _scheme(url) == "postgres" else "On offer: sqlite:///FILE.db, postgresql://…"
            )
            raise UserError(f"{who} {masked(url)!r}: Optuna's storage is a database\n{hint}")
        return _lasting(url, who)

    def name(self) -> str | None:
        """The sweep's name, fit for a folder."""
        name, who = self.text("name"), self.value("name")[1]
        if name is not None and not _NAME.fullmatch(name):
            what = f"{who} {name!r} is no name of a sweep: its folder is called so"
            raise UserError(f"{what}\nAt most 100 letters, digits, '-', '_', '.'; the first a letter or digit")
        return name

    def ray_address(self) -> str | None:
        """A cluster; `ray://` is refused with the command that does what was meant."""
        address, who = self.text("ray_address"), self.value("ray_address")[1]
        if (
            address is None
            or address in {"auto", "local"}
            or re.fullmatch(r"[\w.-]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}", address)
        ):
            return address
        if address.startswith("ray://"):
            host = urlsplit(address).netloc.rsplit(":", 1)[0]
            what = f"{who} {address}: a Ray client runs the search on the head node, where this home is not"
            do = f"ray job submit --address http://{host}:8265 -- reno-sweep run …"
            raise UserError(f"{what}\nSubmit the command there instead:\n{do}")
        raise UserError(f"{who} {address!r}: HOST:PORT of a cluster's head node, or auto")

    def device(self) -> str:
        """auto, cpu or cuda."""
        device, who = self.text("device") or "auto", self.value("device")[1]
        if device not in {"auto", "cpu", "cuda"}:
            raise UserError(f"{who} {device!r} is no device\nOn offer: auto, cpu, cuda")
        return device

    def whole(self, name: str, least: int) -> int | None:
        """A whole number; None for auto and where nobody said anything."""
        value, who = self.value(name)
        if value is None or value == "auto":
            return None
        if isinstance(value, bool) or not re.fullmatch(r"\d{1,9}", str(value)) or int(value) < least:
            also = "" if name == "max_failed" else ", or auto"
            raise UserError(f"{who} {str(value)!r}: a whole number of at least {least}{also}")
        return int(value)

    def flag(self, name: str, *, default: bool) -> bool:
        """A switch: an option can only turn it away from its default."""
        if self.options.get(name) not in {None, default}:
            return not default
        return bool(self.file.get(name, default))


def _scheme(uri: str) -> str:
    """'postgresql' of 'postgresql+psycopg://…'; empty where there is none."""
    return uri.partition(":")[0].partition("+")[0] if ":" in uri else ""


def _lasting(uri: str, who: str) -> str:
    """An SQLite file's address made absolute; a database in memory is refused: it ends with the process."""
    driver, slashes, file = uri.partition(":///")
    if _scheme(uri) != "sqlite":
        return uri
    if not slashes or not file or file.startswith((":memory:", "?")):
        raise UserError(f"{who} {uri!r} is a database in memory\nGive a file: sqlite:///FOLDER/NAME.db")
    return uri if file.startswith("/") else f"{driver}:///{Path(file).absolute()}"


def _sqlite(path: Path) -> str:
    return f"sqlite:///{path}"


def _user_cache(environment: Mapping[str, str]) -> Path:
    """The user's cache folder, by the XDG convention."""
    base = environment.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "reno-sweeps"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than any folder's: it cannot be made, which is said when it is tried
        return False
