"""Which tool wrote a file or folder."""

from pathlib import Path

from analysis.reading.tools import lightning, optuna, ray_tune
from analysis.reading.tools.search import Search


def read_search(source: str, study: str | None = None) -> Search | None:
    """The search at a path or sqlite:/// address; None where that is a table.

    `study` is which of Optuna's studies is meant. Raises ValueError, or FileNotFoundError.
    """
    scheme, separator, rest = source.partition("://")
    if separator:
        if scheme.partition("+")[0] != "sqlite":
            raise ValueError(
                f"{scheme}://: of databases only SQLite's files are read here; write the study as"
                " a table with study.trials_dataframe().to_csv(...)"
            )
        return optuna.read_database(_existing(Path(rest.removeprefix("/"))), study)
    path = Path(source)
    if path.is_dir():
        found = lightning.read_logs(path) or ray_tune.read_results(path)
        if found is None:
            raise ValueError(
                f"{path}: neither Ray Tune's trials (params.json) nor Lightning's runs (metrics.csv"
                " or events.out.tfevents) lie below it"
            )
        return found
    if path.is_file():
        with path.open("rb") as file:
            start = file.read(4096)
        if start.startswith(b"SQLite format 3\0"):
            return optuna.read_database(path, study)
        if start.startswith(b"{") and b'"op_code"' in start:
            return optuna.read_journal(path, study)
    if study is not None:
        raise ValueError(f"--study: {path} is no storage of Optuna's")
    return None


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    return path
