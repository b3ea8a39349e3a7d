"""All targets: each module tells of its own when it is loaded."""

from tests.fuzz import file_targets, login_targets, person_targets, wire_targets
from tests.fuzz.targets import TARGETS

__all__ = ["TARGETS", "file_targets", "login_targets", "person_targets", "wire_targets"]
