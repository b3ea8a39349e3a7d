from tests.crash.conftest import seed, tell

__all__ = ["seed", "tell"]
