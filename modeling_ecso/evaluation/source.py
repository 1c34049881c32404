"""Where a benchmark's data come from: a downloaded folder, or a Hub mirror at one commit."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .files import BYTE_ORDER_MARK, DataError, regular


_HUB = re.compile(r"hub:(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<commit>.*))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class DataSource:
    """Where the data are; exactly one of ``path`` and ``repo`` is set.

    Args:
        path: A folder or file.
        repo: A data set repository on the Hub.
        commit: The commit of the repository to read, 40 hexadecimal digits.
    """

    path: Path | None = None
    repo: str | None = None
    commit: str | None = None

    @classmethod
    def parse(cls, text: str) -> "DataSource":
        """Return the source that ``DIR`` or ``hub:OWNER/NAME@COMMIT`` names.

        Raises:
            DataError: There is no such folder, or the commit is missing: a branch moves, so a
                figure measured on it could not be measured again.
        """
        match = _HUB.fullmatch(text)
        if not match:
            path = Path(text).expanduser()
            if not path.exists():
                raise DataError(
                    f"{text}: no such folder; give the folder of the downloaded data or "
                    "hub:OWNER/NAME@COMMIT for a Hub mirror"
                )
            return cls(path=path)
        if not _COMMIT.fullmatch(match["commit"] or ""):
            raise DataError(
                f"{text}: say which commit, as hub:{match['repo']}@ and 40 hexadecimal digits; "
                "the page of the data set lists them under 'Files and versions'"
            )
        return cls(repo=match["repo"], commit=match["commit"])

    @property
    def downloaded(self) -> Path:
        """The folder or file of downloaded data.

        Raises:
            DataError: The data are on the Hub.
        """
        if self.path is None:
            raise DataError(f"{self.name}: no mirror on the Hub is read this way; download it")
        return self.path

    @property
    def folder(self) -> Path | None:
        """The folder the data are in; None for the Hub."""
        if self.path is None or self.path.is_dir():
            return self.path
        return self.path.parent

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return str(self.path) if self.path else f"hub:{self.repo}@{self.commit}"

    def first_of(self, *candidates: str) -> Path | None:
        """Return the first of these paths below the folder that exists."""
        if self.folder is None:
            return None
        return next((p for c in candidates if (p := self.folder / c).exists()), None)

    def parquet(self, pattern: str) -> list[Path]:
        """Return the Parquet files of a downloaded mirror that match, sorted.

        A file that was named is what to read, whatever lies beside it.
        """
        return sorted(self.path.glob(pattern)) if self.path and self.path.is_dir() else []


def configurations(source: DataSource) -> list[str]:
    """Return the names of the configurations of a Hub mirror; one without any has ``default``.

    Raises:
        DataError: The mirror cannot be read.
    """
    import datasets

    try:
        return datasets.get_dataset_config_names(source.repo, revision=source.commit)
    except Exception as error:
        raise _unreadable(source.name, error) from None


def read_mirror(
    source: DataSource, *, config: str | None, split: str, pattern: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each row of a table of a Hub mirror, with its place for messages; images as bytes.

    Args:
        source: The Hub, or a folder into which the mirror was downloaded.
        config: Configuration of the data set; None: its only or default one.
        split: Split.
        pattern: Where the downloaded mirror has that table, as a glob below the folder.

    Raises:
        DataError: There is no such table, or it cannot be read.
    """
    import datasets

    table = f"{source.name}, {config or 'default'}, split {split}"
    try:
        if source.repo:
            rows = datasets.load_dataset(
                source.repo, name=config, split=split, revision=source.commit
            )
        else:
            files = [str(regular(file)) for file in source.parquet(pattern)]
            if not files:
                raise DataError(f"{source.name}: no {pattern} in it; get the data again")
            table = files[0] if len(files) == 1 else f"{source.name}/{pattern}"
            # Streamed: the files are already here, a copy in a cache would only double them.
            rows = datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)
        for column, kind in (rows.features or {}).items():
            if isinstance(kind, datasets.Image):
                rows = rows.cast_column(column, datasets.Image(decode=False))
        for number, row in enumerate(rows):
            yield f"{table}, row {number}", dict(row)
    except DataError:
        raise
    except Exception as error:
        raise _unreadable(table, error) from None


def _unreadable(table: str, error: Exception) -> DataError:
    return DataError(
        f"{table}: cannot be read ({type(error).__name__}); check name, commit and network"
    )


def image_bytes(cell: Any, where: str) -> bytes:
    """Return the content of an image cell.

    Raises:
        DataError: The cell holds no image.
    """
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(content, bytes):
        raise DataError(f"{where}: it holds no image; get the data again")
    return content


def text_of(row: dict[str, Any], column: str, where: str) -> str:
    """Return a text that must be there.

    Raises:
        DataError: It is missing, empty or no text.
    """
    value = row.get(column)
    if isinstance(value, str):
        value = value.removeprefix(BYTE_ORDER_MARK)  # of the file that a table was made from
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{where}: {column!r} is missing or no text; get the data again")
    return value
