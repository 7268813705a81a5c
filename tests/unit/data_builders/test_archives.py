from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_builders import archives
from data_builders.archives import ArchiveError, extract

FILES = {"videos/a.mp4": b"a" * 3000, "videos/b c.mp4": b"", "list.txt": b"a\nb\n"}


def _zip(path: Path, files: dict[str, bytes], mode: int = 0, flags: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            zipped.writestr(info, content)
    return path


def _tar(path: Path, files: dict[str, bytes], **entry: Any) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as tarred:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for field, value in entry.items():
                setattr(info, field, value)
            tarred.addfile(info, io.BytesIO(content))
    return path


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


@pytest.mark.parametrize("make, name", [(_zip, "x.zip"), (_tar, "x.tar"), (_tar, "x.tar.gz")])
def test_an_archive_is_unpacked_whole_and_once(make: Any, name: str, tmp_path: Path) -> None:
    archive = make(tmp_path / name, FILES)
    assert _tree(extract(archive, tmp_path / "out")) == FILES
    archive.unlink()
    assert _tree(extract(archive, tmp_path / "out")) == FILES
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


UNSAFE = ["../x", "a/../../x", "/etc/x", "a\\..\\..\\x", "C:/x", "..\\x", "\\x"]


@pytest.mark.parametrize("name", UNSAFE)
@pytest.mark.parametrize("make, suffix", [(_zip, "zip"), (_tar, "tar")])
def test_a_path_out_of_the_folder_is_refused(
    make: Any, suffix: str, name: str, tmp_path: Path
) -> None:
    archive = make(tmp_path / f"x.{suffix}", {"fine.txt": b"1", name: b"2"})
    with pytest.raises(ArchiveError, match="leads out of its folder"):
        extract(archive, tmp_path / "inner" / "out")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["inner", archive.name]


@pytest.mark.parametrize("link", ["/etc/passwd", "../../x", "fine.txt"])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(kind: bytes, link: str, tmp_path: Path) -> None:
    archive = _tar(tmp_path / "x.tar", {"a": b""}, type=kind, linkname=link)
    with pytest.raises(ArchiveError, match="is a link, a device or encrypted"):
        extract(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "x.zip", {"a": b"/etc/passwd"}, mode=stat.S_IFLNK | 0o777)
    with pytest.raises(ArchiveError, match="is a link"):
        extract(archive, tmp_path / "out")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    content = bytearray(_zip(tmp_path / "x.zip", {"a": b"1"}).read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(ArchiveError, match="encrypted"):
        extract(tmp_path / "x.zip", tmp_path / "out")


def test_what_the_disk_can_not_hold_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 2999

    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: Usage)
    with pytest.raises(ArchiveError, match="more than the disk"):
        extract(_zip(tmp_path / "x.zip", FILES), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"<html>Not found</html>")
    with pytest.raises(ArchiveError, match="neither a zip nor a tar"):
        extract(tmp_path / "x.zip", tmp_path / "out")
    with pytest.raises(ArchiveError, match="no archive"):
        extract(tmp_path / "y.zip", tmp_path / "out")


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), name=st.sampled_from(["x.zip", "x.tar", "x.tar.gz"]))
def test_damage_is_an_error_of_ours_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, name: str
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    archive = (_zip if name == "x.zip" else _tar)(folder / name, FILES)
    content = bytearray(archive.read_bytes())
    for _ in range(data.draw(st.integers(0, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    archive.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        extract(archive, folder / "in" / "out")
    except ArchiveError:
        assert not (folder / "in" / "out").exists()
    assert {p.name for p in folder.iterdir()} <= {name, "in"}
    assert {p.name for p in folder.rglob("in/*")} <= {"out"}
