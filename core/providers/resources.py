"""What only one account has: batches, files and containers, by the ids that requests and answers name.

Ids are looked for under the keys that carry them, in the text as it is: inside a prompt a quotation mark is escaped, so
what somebody writes about such an id is not taken for one.
"""

import re
from collections.abc import Iterable

from core.model import ResourceId

KEPT_BYTES = 256
"""Of the end of a stream's piece, to find an id that is cut in two."""
_MARKS = (b'"file_', b'"container_', b'"msgbatch_')
_REQUEST_MARKS = (b'"file_id"', b'"container_', b'"msgbatch_')
"""A request names a file under this key only, and every request of an agent has a `"file_path"` in it."""
_IN_PATH = re.compile(rb"/v1/(?:messages/batches|files)/((?:msgbatch|file)_[0-9A-Za-z_-]{1,120})")
_IN_TEXT = re.compile(
    rb'"(?:id|file_id|container|container_id)"\s*:\s*"((?:msgbatch|file|container)_[0-9A-Za-z_-]{1,120})"'
)


def asked_for(target: bytes, body: bytes) -> tuple[ResourceId, ...]:
    """The ids in a request's target and body."""
    match = _IN_PATH.match(target)
    in_path = (ResourceId(match[1].decode()),) if match else ()
    return in_path + _told(body, _REQUEST_MARKS)


def told(text: bytes) -> tuple[ResourceId, ...]:
    """The ids in an answer, or in a part of it."""
    return _told(text, _MARKS)


def _told(text: bytes, marks: Iterable[bytes]) -> tuple[ResourceId, ...]:
    # From the end: requests are large, and `rfind` takes half of what `in` does where quotation marks abound.
    if all(text.rfind(mark) < 0 for mark in marks):
        return ()
    return tuple(dict.fromkeys(ResourceId(found.decode()) for found in _IN_TEXT.findall(text)))


def makes(target: bytes) -> bool:
    """Whether an answer to this target names such ids as its own subject: uploads, batches, and lists of them."""
    return target.startswith((b"/v1/files", b"/v1/messages/batches"))
