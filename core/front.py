"""What the listener serves: the guard at the door, then the proxy, the control API, or one of the small answers."""

from collections.abc import Callable

from core import asgi, logs
from core.exchange import Answer, Incoming, Simple
from core.guard import CONTROL, Caller, Guard, Refusal
from core.problems import NO_RETRY, problem
from core.proxy import Proxy

_NOTHING = Simple(200, b"", ())
_KINDS = {405: "invalid_request_error", 408: "timeout_error", 413: "request_too_large", 503: "overloaded_error"}


class Front:
    """The handler of one running instance. `control` makes the ASGI app on first use: most runs never need it."""

    def __init__(self, proxy: Proxy, control: Callable[[], asgi.App]) -> None:
        self.guard: Guard | None = None
        """Its rules name the port, so it comes after listening has begun; until then nobody is let in."""
        self._proxy = proxy
        self._control = control
        self._app: asgi.App | None = None

    def admit(self, request: Incoming) -> Simple | None:
        """Ask the guard; the refusal closes the connection with the body unread."""
        if self.guard is None:
            return self.malformed(503, "starting.")
        verdict = self.guard.admit(request.method, request.target, request.headers)
        if isinstance(verdict, Refusal):
            return problem(verdict.status, verdict.type, verdict.message, NO_RETRY)
        request.note, request.program = verdict.caller, verdict.program
        return None

    async def serve(self, request: Incoming, answer: Answer) -> None:
        """Hand the request to whom it is for."""
        path = request.path
        logs.begin_request()
        if path.startswith(CONTROL):
            if self._app is None:
                self._app = self._control()
            await asgi.serve(self._app, request, answer)
        elif (path == b"/" and request.method == b"HEAD") or path == b"/api/hello":
            answer.send(_NOTHING)
        elif request.note is Caller.STRANGER:
            await self._proxy.pass_through(request, answer)
        else:
            await self._proxy.serve(request, answer)

    def malformed(self, status: int, message: str) -> Simple:
        """An error of the listener's in the providers' shape."""
        kind = _KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")  # noqa: PLR2004
        return problem(status, kind, f"Tidegate: {message}")
