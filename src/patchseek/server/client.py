"""Ask a patchseek server, with nothing but the standard library: `Client("http://127.0.0.1:8765").search("photo.jpg")`."""

import json
import logging
import secrets
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .._home import expanded
from .._http import is_loopback, staying_opener
from .._progress import OnProgress
from ..errors import QueryError
from ._sent import detail, last_of, part, retry_after
from ._target import ServerError, address, checked, quoted, token_in

__all__ = ["Client", "ServerError"]

_log = logging.getLogger(__name__)

ATTEMPTS = 5
"""How often a server that says it is busy (429) is asked in all."""
LINES = "application/x-ndjson"
"""An answer that is told in lines, as it becomes known."""
OnAnswer = Callable[[dict[str, Any]], None]
Asked = str | Path | int | bytes
"""A picture: a file, its bytes, or the number of one of the collection."""
Box = Sequence[float]
"""x y w h in pixels of the upright picture, or shares."""
Option = str | float | Sequence[str]
"""A field of a search; several values are sent one after another."""


class Client:
    """A server at an address. Every call is one request, to that address and no other; `save` sends files before.

    Errors are ServerError with the server's own words. A proxy that the environment names (http_proxy, https_proxy) is
    used, but not to reach this machine itself. A server that is busy is asked again, a few times, when it says.
    """

    def __init__(self, url: str, token: str | None = None, *, timeout: float = 60.0) -> None:
        """url: may be the whole address that the server printed, with its token. token: goes before that one."""
        parts = address(url)
        self.url, self.timeout = f"{parts.scheme}://{parts.netloc}{quoted(parts.path)}", timeout
        self.token = checked(token or token_in(parts.query))
        host = parts.hostname or ""
        if self.token and parts.scheme == "http" and not is_loopback(host):
            _log.warning(
                "%s: the token travels unencrypted, and whoever is between can read it; use https://", self.url
            )
        self._opener = staying_opener(host)

    def search(
        self,
        query: Asked,
        *,
        box: Box | None = None,
        top: int = 10,
        on_answer: OnAnswer | None = None,
        on_progress: OnProgress | None = None,
        **options: Option,
    ) -> dict[str, Any]:
        """{"query", "collection", "results"} for a picture: a file, its bytes, or the number of one of the collection.

        box: x y w h in pixels of the upright picture, or shares. options: other fields of POST /api/search.
        on_answer: told of the answer so far, as patches have it; the last one may name other pictures in another
        order. on_progress: told of what the server does: how many of how many (0: unknown) are done, and of what.
        """
        fields: list[tuple[str, str | Path | bytes]] = [("top", str(top))]
        for name, value in options.items():
            fields += [(name, str(each)) for each in ([value] if isinstance(value, str | int | float) else value)]
        if box is not None:
            fields.append(("box", ",".join(f"{number:.10g}" for number in box)))
        if isinstance(query, int):
            fields.append(("image_id", str(query)))
        else:
            fields.append(("image", query if isinstance(query, bytes) else expanded(query)))
        if on_answer is None and on_progress is None:
            answer: dict[str, Any] = self._ask("/api/search", fields)
            return answer
        last: dict[str, Any] = self._ask(
            "/api/search", fields, kind=LINES, read=lambda lines: self._last(lines, on_answer, on_progress)
        )
        return last

    def _last(self, lines: Any, on_answer: OnAnswer | None, on_progress: OnProgress | None) -> dict[str, Any]:
        """The answer at the end of lines, others of which are told. A server of before has one line, the answer."""
        for line in map(json.loads, lines):
            if "problem" in line:
                raise ServerError(f"{self.url}: {line['problem']['detail']}", line["problem"]["status"])
            if "progress" in line and on_progress:
                on_progress(line["progress"]["done"], line["progress"]["total"], line["progress"]["doing"])
            elif line.get("is_final", "results" in line):
                answer: dict[str, Any] = line.get("answer", line)
                return answer
            elif "answer" in line and on_answer:
                on_answer(line["answer"])
        raise ValueError("the answer broke off")

    def collection(self) -> dict[str, Any]:
        """What the server's collection is and what it offers."""
        answer: dict[str, Any] = self._ask("/api/collection")
        return answer

    def judge(self, query_key: str, image_id: int, verdict: str | None, box: Sequence[float]) -> dict[str, Any]:
        """Say whether what was looked for is at a place of a picture: "yes", "no" or "unsure"; None takes it back.

        query_key: of a search's answer. box: x y w h in pixels of the upright picture. Returns what is kept now.
        """
        said = {"query_key": query_key, "image_id": image_id, "verdict": verdict, "box": list(box)}
        kept: dict[str, Any] = self._ask("/api/judgements", said=said, method="PUT")
        return kept

    def judgements(self, query_key: str, *, history: bool = False) -> list[dict[str, Any]]:
        """What stands of what was said of a query's finds; with the history all that was ever said."""
        asked = urllib.parse.urlencode({"query_key": query_key, "history": str(history).lower()})
        found: list[dict[str, Any]] = self._ask(f"/api/judgements?{asked}")["judgements"]
        return found

    def saved(self) -> list[dict[str, Any]]:
        """The saved queries, by name, with how much of what each has found is new and is to be judged."""
        found: list[dict[str, Any]] = self._ask("/api/saved")["queries"]
        return found

    def save(
        self,
        name: str,
        query: Asked | Sequence[Asked] = (),
        *,
        box: Box | Sequence[Box | None] | None = None,
        text: str | None = None,
        exclude: Sequence[int] = (),
        note: str = "",
        replace: bool = False,
    ) -> dict[str, Any]:
        """Keep a query under a name: one picture, or several of one object with a box each; see Saved.add.

        exclude: numbers of pictures that are not meant. Raises QueryError where there are not as many boxes.
        """
        is_several = isinstance(query, Sequence) and not isinstance(query, str | bytes)
        pictures: Sequence[Any] = query if is_several else [query]  # type: ignore[assignment]
        boxes: Sequence[Any] = (box if is_several else [box]) or [None] * len(pictures)
        if len(boxes) != len(pictures):
            raise QueryError(f"as many boxes as pictures are needed: {len(pictures)}, found {len(boxes)}")
        refs = [self._ref(each, inner) for each, inner in zip(pictures, boxes, strict=True)]
        said = {"name": name, "queries": refs, "text": text, "exclude": list(exclude), "note": note, "replace": replace}
        kept: dict[str, Any] = self._ask("/api/saved", said=said)
        return kept

    def _ref(self, query: Asked, box: Box | None) -> dict[str, Any]:
        """A picture by its number, or by the id that the server gives it when it is sent."""
        if isinstance(query, int):
            return {"image_id": query, "box": box}
        sent = self._ask("/api/queries", [("image", query if isinstance(query, bytes) else expanded(query))])
        return {"query_id": sent["query_id"], "box": box}

    def remove_saved(self, name: str) -> None:
        """Forget a saved query, but not what was said of its finds."""
        self._ask(f"/api/saved/{urllib.parse.quote(name, safe='')}", method="DELETE")

    def run_saved(self, *names: str, only_new: bool = False, on_progress: OnProgress | None = None) -> dict[str, Any]:
        """Ask those of these names, or all, and wait until that is done: the job, with counts in its "report"."""
        job = self._ask("/api/runs", said={"names": names, "only_new": only_new})
        path = f"/api/jobs/{urllib.parse.quote(job['job_id'], safe='')}/events"
        last: dict[str, Any] = self._ask(path, kind="text/event-stream", read=lambda lines: last_of(lines, on_progress))
        if last["state"] == "failed":
            raise ServerError(f"{self.url}: {last['error']}")
        return last

    def finds(self, name: str, *, which: str = "all", skip: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        """What a saved query has found so far, the sure finds first. which: "all", "open" or "unjudged"."""
        asked = urllib.parse.urlencode({"which": which, "skip": skip, "limit": limit})
        found: list[dict[str, Any]] = self._ask(f"/api/saved/{urllib.parse.quote(name, safe='')}?{asked}")["finds"]
        return found

    def _ask(
        self,
        path: str,
        fields: Sequence[tuple[str, str | Path | bytes]] = (),
        kind: str = "application/json",
        read: Callable[[Any], Any] = json.load,
        said: dict[str, Any] | None = None,
        method: str | None = None,
    ) -> Any:
        """said: is sent as it is, as JSON. method: by default GET, or POST for what is sent."""
        headers = {"Accept": kind}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        body = None
        if said is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(said).encode()
        elif fields:
            boundary = secrets.token_hex(16)
            headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
            body = b"".join(part(boundary, name, value) for name, value in fields) + f"--{boundary}--\r\n".encode()
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with self._opened(request) as answer:
                return read(answer)
        except urllib.error.HTTPError as error:
            with error:  # it holds the connection
                raise ServerError(f"{self.url}: {detail(error)}", error.code) from error
        except (OSError, ValueError) as error:
            raise ServerError(f"{self.url}: no answer ({getattr(error, 'reason', error)})") from error

    def _opened(self, request: urllib.request.Request) -> Any:
        """The answer. Raises HTTPError, also when the server is still busy."""
        for _ in range(ATTEMPTS - 1):
            try:
                return self._opener.open(request, timeout=self.timeout)
            except urllib.error.HTTPError as error:
                if error.code != 429:
                    raise
                with error:
                    time.sleep(retry_after(error))
        return self._opener.open(request, timeout=self.timeout)
