"""A cache that cannot fail: damaged entries are made again, unwritable folders do not matter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from unrolled.vision import cache
from unrolled.vision.cache import cached


class Maker:
    def __init__(self, content: bytes = b"content") -> None:
        self.content = content
        self.calls = 0

    def __call__(self) -> bytes:
        self.calls += 1
        return self.content


def fetch(make: Callable[[], bytes], folder: Path, key: str = "net-v1") -> bytes:
    return cached(key, make, suffix=".onnx", folder=folder)


def test_made_once_then_read(tmp_path: Path) -> None:
    make, folder = Maker(), tmp_path / "deep" / "cache"
    assert [fetch(make, folder) for _ in range(3)] == [b"content"] * 3
    assert make.calls == 1
    (entry,) = folder.iterdir()
    assert entry.read_bytes() == b"content"
    assert entry.suffix == ".onnx"


def test_keys_do_not_mix(tmp_path: Path) -> None:
    fetch(Maker(b"one"), tmp_path, "net-v1")
    assert fetch(Maker(b"two"), tmp_path, "net-v11") == b"two"
    assert fetch(Maker(b"three"), tmp_path, "net") == b"three"
    assert fetch(Maker(b"not made"), tmp_path, "net-v1") == b"one"


@pytest.mark.parametrize("damage", [b"", b"conten", b"Content", b"content ", b"\0" * 1000])
def test_a_damaged_entry_is_made_again(damage: bytes, tmp_path: Path) -> None:
    fetch(Maker(), tmp_path)
    (entry,) = tmp_path.iterdir()
    entry.write_bytes(damage)
    make = Maker()
    assert fetch(make, tmp_path) == b"content"
    assert make.calls == 1
    assert entry.read_bytes() == b"content"
    assert list(tmp_path.iterdir()) == [entry]


def test_an_entry_that_is_a_folder_is_passed_over(tmp_path: Path) -> None:
    fetch(Maker(), tmp_path)
    (entry,) = tmp_path.iterdir()
    entry.unlink()
    entry.mkdir()
    assert fetch(Maker(), tmp_path) == b"content"
    assert list(tmp_path.iterdir()) == [entry]


def test_a_folder_that_cannot_be_written_does_not_matter(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    make = Maker()
    assert fetch(make, blocked / "cache") == b"content"
    assert fetch(make, blocked) == b"content"
    assert make.calls == 2


def test_a_full_disk_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.Path, "replace", full)
    assert fetch(Maker(), tmp_path) == b"content"
    assert list(tmp_path.iterdir()) == [], "a part of a file was left behind"


def test_an_oversized_entry_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch(Maker(), tmp_path)
    monkeypatch.setattr(cache, "_MAX_BYTES", 3)
    make = Maker()
    assert fetch(make, tmp_path) == b"content"
    assert make.calls == 1


def test_errors_of_the_maker_come_out(tmp_path: Path) -> None:
    def fail() -> bytes:
        raise KeyError("weights")

    with pytest.raises(KeyError):
        fetch(fail, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_platform_says_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cache, "default_folder", lambda: tmp_path)
    cached("k", Maker(), suffix=".bin")
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.undo()
    assert "unrolled" in cache.default_folder().parts
