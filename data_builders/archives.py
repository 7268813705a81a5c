"""Unpack archives that come from elsewhere, refusing what would leave their folder."""

from __future__ import annotations

import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from reward_plugins.errors import CamReasonerError
from reward_plugins.files import remove_abandoned, replacement

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # zipfile's word for an unknown compression
    ValueError,  # names and numbers that don't decode
)


class ArchiveError(CamReasonerError, ValueError):
    """An archive that is damaged, of an unknown kind, or would write outside its folder."""


def extract(archive: Path, target: Path) -> Path:
    """Unpack a zip or (compressed) tar file into the new folder `target`, and return it.

    All or nothing: `target` appears when the last file is in place; if it is there already, the
    archive was unpacked before and is left alone. What a killed extraction left is removed
    a day later, by the next one: another may be at work there.
    `ArchiveError` names the member that is an absolute path, holds `..`, is a link or a device,
    is encrypted, or is larger than the disk.
    """
    remove_abandoned(target.parent)
    if target.is_dir():
        return target
    if not archive.is_file():
        raise ArchiveError(f"no archive at {archive}: run the data stage to fetch it")
    with replacement(target) as unpacked:
        unpacked.mkdir()
        try:
            _unpack(archive, unpacked)
        except ArchiveError:
            raise
        except _DAMAGE as error:
            raise ArchiveError(
                f"{archive} is damaged ({type(error).__name__}: {error}): remove it, fetch it again"
            ) from error
    return target


def _unpack(archive: Path, target: Path) -> None:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for member in zipped.infolist():
                kind = stat.S_IFMT(member.external_attr >> 16)
                plain = kind in (0, stat.S_IFREG, stat.S_IFDIR) and not member.flag_bits & 1
                _check(archive, member.filename, plain, member.file_size, target)
                zipped.extract(member, target)
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as tarred:
            for entry in tarred:  # one pass: a compressed file is read from its start each time
                _check(archive, entry.name, entry.isfile() or entry.isdir(), entry.size, target)
                tarred.extract(entry, target, filter="data")
    else:
        raise ArchiveError(f"{archive} is neither a zip nor a tar file: fetch it again")


def _check(archive: Path, name: str, plain: bool, size: int, target: Path) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name.partition("/")[0]:
        raise ArchiveError(f"{archive}: member {name!r} leads out of its folder; not unpacked")
    if not plain:
        raise ArchiveError(
            f"{archive}: member {name!r} is a link, a device or encrypted, not a plain file or "
            "folder; not unpacked"
        )
    if size > shutil.disk_usage(target).free:
        raise ArchiveError(
            f"{archive}: member {name!r} of {size / 1e9:,.1f} GB is more than the disk of "
            f"{target.parent} can hold: free some space, or put the data on a larger disk"
        )
