"""What the owner of a server chooses at its start. Starts nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .._http import is_loopback
from ..errors import PatchseekError

OWN_PATHS = frozenset({"api", "web", "docs", "healthz", "metrics", "openapi.json", "favicon.ico"})
"""How paths of ours begin. With one of them as prefix, nobody could tell whether a proxy has taken it off."""
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
"""How a browser may call this machine itself."""


@dataclass(frozen=True)
class ServerSettings:
    """Where a server listens, who may come in and how much it takes."""

    host: str = "127.0.0.1"
    # address to listen on; any but this machine's own needs a token
    port: int = 8765
    # 0 for a free one
    token: str | None = None
    # the secret that every request must show; None: whoever is on this machine may come in
    allow_dirs: tuple[Path, ...] = ()
    # folders that may be indexed from the page
    public_url: str | None = None
    # the address people type where a reverse proxy stands in front: https://pictures.example.org, or with a path
    max_upload_bytes: int = 64 << 20
    # largest body of a request
    max_pixels: int = 100_000_000
    # largest picture that is decoded for a request
    decode_seconds: float = 20.0
    # a picture that takes longer to decode is refused and its decoder killed
    n_searches: int = 4
    # searches computed at once that refine no boxes
    n_refined: int = 2
    # and that do, which keep all cores busy by themselves: more of them leave less to the others
    n_waiting: int = 64
    # of each that may wait beside them; one more is answered with 429
    patience: float = 30.0
    # seconds; so is a search that would probably have to wait longer than that
    may_fetch: bool = False
    # whether pictures on the web are fetched again where they are no longer kept
    begin_at: Path | None = None
    # where the collection is to be made once something is added; what is served until then is an empty one of nobody's

    def __post_init__(self) -> None:
        if not self.is_loopback and not self.token:
            raise PatchseekError(f"listening on {self.host} needs a token: whoever can reach it could see the pictures")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable() and len(self.token) >= 8):
            raise PatchseekError("a token is at least 8 characters of plain ASCII")
        if self.token is not None and self.token != self.token.strip():
            raise PatchseekError("a token begins and ends with something else than a space")
        if self.public_url is not None:
            _check_address(self.public_url)
        check_folders(self.allow_dirs)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        return is_loopback(self.host)

    @property
    def prefix(self) -> str:
        """The path of the public address, such as "/patchseek", or "". A proxy may take it off a request or not."""
        return unquote(urlsplit(self.public_url).path).rstrip("/") if self.public_url else ""

    @property
    def is_local(self) -> bool:
        """Whether whoever asks sits at this machine: then paths are shown and folders opened."""
        return self.is_loopback and self.token is None and self.public_url is None


def check_folders(folders: Sequence[Path]) -> None:
    """Raise PatchseekError unless all of them are folders."""
    for folder in folders:
        if not folder.is_dir():
            raise PatchseekError(f"{folder}: not a folder; --allow-dir takes folders that exist")


def _check_address(url: str) -> None:
    """Raise PatchseekError for a public address that no browser could open, or whose path could be one of ours."""
    try:
        parts = urlsplit(url)
        is_fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_fine = False
    if not is_fine or not url.isprintable() or " " in url:
        raise PatchseekError(f"{url!r}: a public address is http://HOST or https://HOST, with a port or a path or not")
    segments = unquote(parts.path).strip("/").split("/")
    if parts.query or parts.fragment or parts.username or {".", ".."} & set(segments):
        raise PatchseekError(f"{url!r}: a public address has no ?, #, user or dots for folders in it")
    if segments[0] in OWN_PATHS:
        raise PatchseekError(f"{url!r}: /{segments[0]} is a path of patchseek itself; serve it below another")
