"""Where what belongs to a person lies on each system."""

import pytest

from patchseek._home import cache_folder
from patchseek.errors import PatchseekError


@pytest.mark.parametrize(
    ("system", "given", "place"),
    [
        ("linux", {}, ".cache/patchseek"),
        ("linux", {"XDG_CACHE_HOME": "{home}/other"}, "other/patchseek"),
        ("linux", {"LOCALAPPDATA": "{home}/local"}, ".cache/patchseek"),
        ("darwin", {}, "Library/Caches/patchseek"),
        ("win32", {"LOCALAPPDATA": "{home}/local"}, "local/patchseek"),
        ("win32", {}, "AppData/Local/patchseek"),
    ],
)
def test_caches_lie_where_the_system_has_them(monkeypatch, tmp_path, system, given, place):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": str(tmp_path), **given}.items():
        monkeypatch.setenv(name, value.format(home=tmp_path))
    monkeypatch.setattr("sys.platform", system)
    assert cache_folder() == tmp_path / place


def test_no_cache_is_made_in_the_current_folder(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    with pytest.raises(PatchseekError, match="no folder for caches is known here"):
        cache_folder()
