"""What an organisation has at the provider besides its quota: files, batches and containers.

An id opens nothing for anybody else: whoever did not make it is told that it is not there. Shapes are those of the
provider's reference and of its SDK's types (2026-08); the wording of the refusals is made up.
"""

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from core.simulator.answers import JSON_TYPE, Answer, anthropic_error, json_answer
from core.simulator.dialects import messages_whole
from core.simulator.turns import Malformed, read_messages

JSONL_TYPE = ("content-type", "application/x-jsonl")
_BATCH_LIFE_S = 86_400.0
_CONTAINER_LIFE_S = 3_600.0
_FILE_PATH = re.compile(r"/v1/files/([^/]+)(/content)?")
_BATCH_PATH = re.compile(r"/v1/messages/batches/([^/]+)(?:/(cancel|results))?")
_PART_NAME = re.compile(rb'name="file"; filename="([^"]*)"')
_PART_TYPE = re.compile(rb"\r\ncontent-type: *([^\r\n]+)", re.IGNORECASE)
_FILE_IN_BODY = re.compile(rb'"file_id"\s*:\s*"([^"]+)"')


@dataclass(slots=True)
class Batch:
    """One batch: how many requests it has, and the lines of its results, which are there at the second look."""

    created_at: float
    lines: list[dict[str, object]]
    status: str = "in_progress"


@dataclass(slots=True)
class Belongings:
    """What one organisation has made."""

    clock: Callable[[], float]
    files: dict[str, dict[str, object]] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)
    containers: dict[str, float] = field(default_factory=dict)
    """Container to when it ends."""

    def answer(self, method: str, path: str, content_type: str, body: bytes, request_id: str) -> Answer | None:
        """The answer to a path below `/v1/files` or `/v1/messages/batches`; None for any other."""
        match method, path:
            case "POST", "/v1/files":
                return self._upload(content_type, body, request_id)
            case "GET", "/v1/files":
                return _listed(list(self.files.values()))
            case "POST", "/v1/messages/batches":
                return self._new_batch(body, request_id)
            case "GET", "/v1/messages/batches":
                return _listed([self._shown(id_) for id_ in self.batches])
        if found := _FILE_PATH.fullmatch(path):
            return self._file(method, found[1], bool(found[2]), request_id)
        if found := _BATCH_PATH.fullmatch(path):
            return self._batch(method, found[1], found[2] or "", request_id)
        return None

    def lacks(self, body: bytes, request_id: str) -> Answer | None:
        """The refusal of a message that names a file or a container which is not here."""
        for found in _FILE_IN_BODY.findall(body):
            if found.decode("latin-1") not in self.files:
                return _not_found(f"File not found: {found.decode('latin-1')}", request_id)
        container = _field(body, "container")
        id_ = container.get("id") if isinstance(container, dict) else container
        if id_ and self.containers.get(str(id_), 0.0) <= self.clock():
            return _not_found(f"Container not found: {id_}", request_id)
        return None

    def container(self, body: bytes) -> tuple[str, float] | None:
        """The container that a request with code execution runs in, a new one if it names none, and its end."""
        tools = _field(body, "tools")
        kinds = [str(t.get("type", "")) for t in tools if isinstance(t, dict)] if isinstance(tools, list) else []
        if not any(kind.startswith("code_execution_") for kind in kinds):
            return None
        named = _field(body, "container")
        id_ = named if isinstance(named, str) else _new_id("container")
        return id_, self.containers.setdefault(id_, self.clock() + _CONTAINER_LIFE_S)

    # --- files -------------------------------------------------------------------------------------

    def _upload(self, content_type: str, body: bytes, request_id: str) -> Answer:
        _, _, boundary = content_type.partition("boundary=")
        part = next((p for p in body.split(b"--" + boundary.strip('"').encode()) if _PART_NAME.search(p)), None)
        if not boundary or part is None:
            return anthropic_error(400, "invalid_request_error", "file: Field required", request_id)
        head, _, content = part.partition(b"\r\n\r\n")
        name, kind = _PART_NAME.search(head), _PART_TYPE.search(head)
        file = {
            "id": _new_id("file"),
            "type": "file",
            "filename": name[1].decode("utf-8", "replace") if name else "",
            "mime_type": kind[1].decode("latin-1") if kind else "application/octet-stream",
            "size_bytes": len(content.removesuffix(b"\r\n")),
            "created_at": _iso(self.clock()),
            "downloadable": False,
        }
        self.files[str(file["id"])] = file
        return json_answer(200, file)

    def _file(self, method: str, id_: str, content: bool, request_id: str) -> Answer:
        if id_ not in self.files:
            return _not_found(f"File not found: {id_}", request_id)
        if content:  # what somebody has uploaded cannot be fetched again
            return anthropic_error(400, "invalid_request_error", f"File {id_} is not downloadable", request_id)
        if method == "DELETE":
            del self.files[id_]
            return json_answer(200, {"id": id_, "type": "file_deleted"})
        return json_answer(200, self.files[id_])

    # --- batches -----------------------------------------------------------------------------------

    def _new_batch(self, body: bytes, request_id: str) -> Answer:
        requests = _field(body, "requests")
        if not isinstance(requests, list) or not requests:
            return anthropic_error(400, "invalid_request_error", "requests: Field required", request_id)
        now = self.clock()
        try:
            lines = [_result(request, now) for request in requests]
        except (Malformed, KeyError, TypeError) as wrong:
            return anthropic_error(400, "invalid_request_error", f"requests: {wrong}", request_id)
        id_ = _new_id("msgbatch")
        self.batches[id_] = Batch(now, lines)
        return json_answer(200, self._shown(id_))

    def _batch(self, method: str, id_: str, deed: str, request_id: str) -> Answer:
        batch = self.batches.get(id_)
        if batch is None:
            return _not_found(f"Message batch not found: {id_}", request_id)
        if deed == "results":
            return Answer(200, b"".join(msgspec.json.encode(line) + b"\n" for line in batch.lines), (JSONL_TYPE,))
        if method == "DELETE":
            del self.batches[id_]
            return json_answer(200, {"id": id_, "type": "message_batch_deleted"})
        batch.status = "canceling" if deed == "cancel" else "ended"
        return json_answer(200, self._shown(id_))

    def _shown(self, id_: str) -> dict[str, object]:
        batch = self.batches[id_]
        ended, total = batch.status == "ended", len(batch.lines)
        counts = {"processing": 0 if ended else total, "succeeded": total if ended else 0}
        return {
            "id": id_,
            "type": "message_batch",
            "processing_status": batch.status,
            "request_counts": {**counts, "errored": 0, "canceled": 0, "expired": 0},
            "created_at": _iso(batch.created_at),
            "expires_at": _iso(batch.created_at + _BATCH_LIFE_S),
            "ended_at": _iso(self.clock()) if ended else None,
            "cancel_initiated_at": _iso(self.clock()) if batch.status == "canceling" else None,
            "archived_at": None,
            "results_url": f"https://api.anthropic.com/v1/messages/batches/{id_}/results" if ended else None,
        }


def _result(request: Mapping[str, object], now: float) -> dict[str, object]:
    turn = read_messages(msgspec.json.encode(request["params"]), 2)
    message = messages_whole(turn, secrets.token_hex(10), now)
    return {"custom_id": request["custom_id"], "result": {"type": "succeeded", "message": message}}


def _listed(items: Sequence[Mapping[str, object]]) -> Answer:
    ends = {"first_id": items[0]["id"], "last_id": items[-1]["id"]} if items else {"first_id": None, "last_id": None}
    return Answer(200, msgspec.json.encode({"data": items, "has_more": False, **ends}), (JSON_TYPE,))


def _not_found(text: str, request_id: str) -> Answer:
    return anthropic_error(404, "not_found_error", text, request_id)


def _field(body: bytes, name: str) -> object:
    try:
        return msgspec.json.decode(body, type=dict[str, object]).get(name)
    except msgspec.DecodeError:
        return None


def _new_id(kind: str) -> str:
    return f"{kind}_011C{secrets.token_hex(10)}"


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
