"""What the simulated provider has to say to one request: an answer, or a turn to generate. No sockets, no waiting.

Credentials are checked the way the real servers check them, quota is counted, and the account's script is consulted;
how the reply travels, and what breaks on the way, is `delivery.py`.
"""

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

import msgspec

from core.model import AccountKind
from core.simulator import answers, refusals, turns
from core.simulator.accounts import SimulatedAccount
from core.simulator.answers import Answer, HeaderLines, anthropic_error, go_error, json_answer
from core.simulator.authority import Authority, choice_of
from core.simulator.belongings import Belongings
from core.simulator.connection import MAX_BODY_BYTES, Received
from core.simulator.dialects import CHAT, MESSAGES, RESPONSES, Dialect
from core.simulator.faults import ConnectionFault, Refusal, ResetBeforeAnswer, StreamFault, UseTool
from core.simulator.turns import Malformed, Turn

GO_PATH = "/zen/go/v1"
OAUTH_BETA = "oauth-2025-04-20"
DEFAULT_PIECES = 8
_CLAUDE_CODE = "claude-cli/"
_GO_HEADERS = (("cache-control", "no-cache"),)
_MODEL_PATH = re.compile(r"/v1/models/([^/]+)")
_KEPT_PATHS = ("/v1/files", "/v1/messages/batches")


@dataclass(frozen=True, slots=True)
class Generation:
    """A turn that an account pays for: in which format, with which header lines, and what happens to it."""

    turn: Turn
    dialect: Dialect
    headers: HeaderLines
    request_id: str
    step: StreamFault | ConnectionFault | None


Reply = Answer | Generation
Route = Callable[["Service", Received, str], Reply]


class Service:
    """The accounts, and what each path answers."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.accounts: list[SimulatedAccount] = []
        self.authority = Authority(clock)
        self.pieces = DEFAULT_PIECES
        self._clock = clock
        self._belongings: dict[str, Belongings] = {}
        """By organisation."""

    def reply(self, received: Received, request_id: str) -> Reply:
        """The reply to one request, without the lines that `dress` adds to whole answers."""
        if received.dropped_bytes:
            text = f"Request exceeds the maximum size of {MAX_BODY_BYTES // 1024 // 1024} MB"
            return anthropic_error(413, "request_too_large", text, request_id)
        if route := ROUTES.get((received.method, received.path)):
            return route(self, received, request_id)
        if received.method == "GET" and _MODEL_PATH.fullmatch(received.path):
            return self._model(received, request_id)
        if received.path.startswith(_KEPT_PATHS) and (kept := self._kept(received, request_id)):
            return kept
        if any(path == received.path for _, path in ROUTES):
            return anthropic_error(405, "invalid_request_error", "Method Not Allowed", request_id)
        return anthropic_error(404, "not_found_error", "Not found", request_id)

    def dress(self, answer: Answer, received: Received, request_id: str) -> Answer:
        """A whole answer with the lines that the place adds to all of its answers."""
        if received.path.startswith(GO_PATH):
            return answer.plus(_GO_HEADERS)
        account = next((a for a in self.accounts if a.label == received.account), None)
        return answer.plus(self._edge_headers(account, request_id))

    # --- who is asking -----------------------------------------------------------------------------

    def _anthropic_account(self, received: Received, request_id: str) -> SimulatedAccount | Answer:
        """The account that a credential belongs to, or the 401 or 403 of api.anthropic.com."""

        def unauthenticated(text: str) -> Answer:
            return anthropic_error(401, "authentication_error", text, request_id)

        if received.header("origin"):
            return unauthenticated(refusals.CORS_TEXT)
        if key := received.header("x-api-key"):
            return self._key_account(AccountKind.API_KEY, key, received) or unauthenticated("invalid x-api-key")
        bearer = _bearer(received)
        if not bearer:
            return unauthenticated("x-api-key header is required")
        if account := self._key_account(AccountKind.API_KEY, bearer, received):
            return account
        if bearer.startswith("sk-ant-api"):
            return unauthenticated("invalid x-api-key")
        return self._login(received, request_id)

    def _login(self, received: Received, request_id: str, scope: str = "") -> SimulatedAccount | Answer:
        """The account of an access token that lives and, below /api/oauth, has the scope."""
        token = _bearer(received)
        found = self.authority.owner(token)
        if found is None:
            return anthropic_error(401, "authentication_error", "Invalid bearer token", request_id)
        account, lineage = found
        received.account = account.label
        if OAUTH_BETA not in re.split(r"\s*,\s*", received.header("anthropic-beta")):
            text = "OAuth authentication is currently not supported."
            return anthropic_error(401, "authentication_error", text, request_id)
        if lineage.revoked:
            return anthropic_error(403, "permission_error", refusals.REVOKED_TEXT, request_id)
        if lineage.access[token] <= self._clock():
            return anthropic_error(401, "authentication_error", refusals.EXPIRED_TEXT, request_id)
        if scope and scope not in lineage.scopes:
            text = f"OAuth token does not meet scope requirement {scope}"
            return anthropic_error(403, "permission_error", text, request_id)
        return account

    def _go_account(self, received: Received, key: str) -> SimulatedAccount | Answer:
        if not key:
            return go_error(401, "AuthError", "Missing API key.")
        return self._key_account(AccountKind.GO, key, received) or go_error(401, "AuthError", "Unauthorized")

    def _key_account(self, kind: AccountKind, key: str, received: Received) -> SimulatedAccount | None:
        account = next((a for a in self.accounts if a.kind is kind and a.key == key), None)
        if account is not None:
            received.account = account.label
        return account

    # --- Anthropic ---------------------------------------------------------------------------------

    def messages(self, received: Received, request_id: str) -> Reply:
        """`POST /v1/messages`."""
        account = self._anthropic_account(received, request_id)
        if isinstance(account, Answer):
            return account
        turn = self._read(MESSAGES, received, request_id)
        if isinstance(turn, Answer):
            return turn
        if not turn.model.startswith("claude-"):
            return anthropic_error(404, "not_found_error", f"model: {turn.model}", request_id)
        if account.third_party_refused and not received.header("user-agent").startswith(_CLAUDE_CODE):
            return anthropic_error(400, "invalid_request_error", refusals.CLIENT_TEXT, request_id)
        belongings = self._of(account)
        if lacking := belongings.lacks(received.body, request_id):
            return lacking
        return self._generation(
            account, MESSAGES, replace(turn, container=belongings.container(received.body)), request_id
        )

    def _of(self, account: SimulatedAccount) -> Belongings:
        return self._belongings.setdefault(account.organization_uuid, Belongings(self._clock))

    def _kept(self, received: Received, request_id: str) -> Answer | None:
        account = self._anthropic_account(received, request_id)
        if isinstance(account, Answer):
            return account
        kind = received.header("content-type")
        return self._of(account).answer(received.method, received.path, kind, received.body, request_id)

    def count_tokens(self, received: Received, request_id: str) -> Reply:
        """`POST /v1/messages/count_tokens`."""
        account = self._anthropic_account(received, request_id)
        if isinstance(account, Answer):
            return account
        return json_answer(200, {"input_tokens": turns.tokens(received.body)})

    def models(self, received: Received, request_id: str) -> Reply:
        """`GET /v1/models`."""
        account = self._anthropic_account(received, request_id)
        if isinstance(account, Answer):
            return account
        query = _query(received)
        limit = query.get("limit", "20")
        if not limit.isdecimal() or not 1 <= int(limit) <= 1000:  # noqa: PLR2004 - the documented range
            text = "limit: Input should be between 1 and 1000"
            return anthropic_error(400, "invalid_request_error", text, request_id)
        return answers.models(int(limit), query.get("after_id", ""), query.get("before_id", ""))

    def _model(self, received: Received, request_id: str) -> Reply:
        account = self._anthropic_account(received, request_id)
        if isinstance(account, Answer):
            return account
        return answers.model(received.path.rpartition("/")[2], request_id)

    def hello(self, received: Received, request_id: str) -> Reply:
        """`HEAD|GET /api/hello`, the warm-up probe."""
        del received, request_id
        return json_answer(200, {"message": "hello"})

    def profile(self, received: Received, request_id: str) -> Reply:
        """`GET /api/oauth/profile`."""
        account = self._login(received, request_id, scope="user:profile")
        return account if isinstance(account, Answer) else answers.profile(account)

    def usage(self, received: Received, request_id: str) -> Reply:
        """`GET /api/oauth/usage`."""
        account = self._login(received, request_id, scope="user:profile")
        if isinstance(account, Answer):
            return account
        account.roll(self._clock())
        return answers.usage(account)

    def create_api_key(self, received: Received, request_id: str) -> Reply:
        """`POST /api/oauth/claude_cli/create_api_key`: a new key of the login's organisation, ready for use."""
        account = self._login(received, request_id, scope="org:create_api_key")
        if isinstance(account, Answer):
            return account
        return json_answer(200, {"raw_key": self.add_key(f"{account.label} key", account.organization_uuid).key})

    def add_key(self, label: str, organization_uuid: str = "") -> SimulatedAccount:
        """Add an account with a Console API key."""
        account = self.add(label, AccountKind.API_KEY, organization_uuid)
        account.key = f"sk-ant-api03-{secrets.token_urlsafe(70)}"
        return account

    def add(self, label: str, kind: AccountKind, organization_uuid: str = "") -> SimulatedAccount:
        """Add an account that has no credential yet."""
        account = SimulatedAccount.new(label, kind, organization_uuid, self._clock())
        same = (a for a in self.accounts if a.kind is kind and a.organization_uuid == account.organization_uuid)
        if kind is not AccountKind.CLAUDE and (sibling := next(same, None)):
            account.quota = sibling.quota  # the limits are the organisation's, however many keys it has
        self.accounts.append(account)
        return account

    # --- sign-in -----------------------------------------------------------------------------------

    def authorize(self, received: Received, request_id: str) -> Reply:
        """`GET /oauth/authorize`: the page with Allow and Deny."""
        del request_id
        return self.authority.ask(_query(received), [a for a in self.accounts if a.kind is AccountKind.CLAUDE])

    def decide(self, received: Received, request_id: str) -> Reply:
        """`POST /oauth/authorize`: what the page's form sends."""
        del request_id
        form = dict(parse_qsl(received.body.decode("latin-1")))
        logins = (a for a in self.accounts if a.kind is AccountKind.CLAUDE)
        chosen = next((a for a in logins if choice_of(a) == form.get("account")), None)
        return self.authority.decide(form, chosen)

    def token(self, received: Received, request_id: str) -> Reply:
        """`POST /v1/oauth/token`."""
        del request_id
        return self.authority.token(_token_body(received))

    def revoke(self, received: Received, request_id: str) -> Reply:
        """`POST /v1/oauth/revoke`."""
        del request_id
        return self.authority.revoke(_token_body(received))

    # --- OpenCode Go -------------------------------------------------------------------------------

    def go_messages(self, received: Received, request_id: str) -> Reply:
        """`POST /zen/go/v1/messages`, which takes `x-api-key` only."""
        return self._go_generation(MESSAGES, received, received.header("x-api-key"), request_id)

    def go_chat(self, received: Received, request_id: str) -> Reply:
        """`POST /zen/go/v1/chat/completions`, which takes Bearer only."""
        return self._go_generation(CHAT, received, _bearer(received), request_id)

    def go_responses(self, received: Received, request_id: str) -> Reply:
        """`POST /zen/go/v1/responses`, which takes Bearer only."""
        return self._go_generation(RESPONSES, received, _bearer(received), request_id)

    def go_models(self, received: Received, request_id: str) -> Reply:
        """`GET /zen/go/v1/models`, for everybody."""
        del received, request_id
        return answers.go_models(self._clock())

    def go_usage(self, received: Received, request_id: str) -> Reply:
        """`GET /zen/go/v1/usage`."""
        del request_id
        account = self._go_account(received, _bearer(received))
        if isinstance(account, Answer):
            return account
        account.roll(self._clock())
        return answers.go_usage(account)

    def _go_generation(self, dialect: Dialect, received: Received, key: str, request_id: str) -> Reply:
        account = self._go_account(received, key)
        if isinstance(account, Answer):
            return account
        if not received.header("x-opencode-session"):
            # The class is known (seen since 2026-09-06), the wording is not.
            return go_error(400, "MissingSessionID", "Missing x-opencode-session header.")
        turn = self._read(dialect, received, request_id)
        if isinstance(turn, Answer):
            return turn
        if turn.model not in answers.GO_MODELS:
            return go_error(401, "ModelError", f"Model {turn.model} not supported")
        return self._generation(account, dialect, turn, request_id)

    # --- generation --------------------------------------------------------------------------------

    def _read(self, dialect: Dialect, received: Received, request_id: str) -> Turn | Answer:
        go = received.path.startswith(GO_PATH)
        problem = "" if go or received.header("anthropic-version") else "anthropic-version: header is required"
        try:
            turn = dialect.read(received.body, self.pieces)
        except Malformed as malformed:
            problem = problem or str(malformed)
        if problem:
            return (
                go_error(400, "InvalidRequestError", problem)
                if go
                else anthropic_error(400, "invalid_request_error", problem, request_id)
            )
        return turn

    def _generation(self, account: SimulatedAccount, dialect: Dialect, turn: Turn, request_id: str) -> Reply:
        now = self._clock()
        step = account.next_step()
        if isinstance(step, Refusal):
            return refusals.refusal(step, account, now, request_id)
        full = account.full_windows(turn.model, now)
        if full and account.extra_usage is None:
            return refusals.quota_refusal(account, full, now, request_id)
        if full and account.extra_usage and account.extra_usage.out:
            return refusals.extra_usage_spent(account, request_id)
        if not isinstance(step, ResetBeforeAnswer):
            account.spend(turn.model, extra=bool(full))
        if isinstance(step, UseTool):
            turn, step = replace(turn, pieces=(f"I will use {step.name}.",), tool=step), None
        if account.kind is AccountKind.GO:
            return Generation(turn, dialect, _GO_HEADERS, request_id, step)
        headers = self._edge_headers(account, request_id) + answers.limit_headers(account, extra=bool(full))
        return Generation(turn, dialect, headers, request_id, step)

    def _edge_headers(self, account: SimulatedAccount | None, request_id: str) -> HeaderLines:
        organization = account.organization_uuid if account else ""
        return answers.edge_headers(request_id, organization, secrets.token_hex(8), self._clock())


def _bearer(received: Received) -> str:
    scheme, _, token = received.header("authorization").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _query(received: Received) -> dict[str, str]:
    return dict(parse_qsl(received.query))


def _token_body(received: Received) -> Mapping[str, object]:
    """The fields of a JSON or a form body; none when it is neither."""
    if received.header("content-type").startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(received.body.decode("latin-1")))
    try:
        return msgspec.json.decode(received.body, type=dict[str, object])
    except msgspec.DecodeError:
        return {}


ROUTES: Mapping[tuple[str, str], Route] = {
    ("POST", "/v1/messages"): Service.messages,
    ("POST", "/v1/messages/count_tokens"): Service.count_tokens,
    ("GET", "/v1/models"): Service.models,
    ("GET", "/api/hello"): Service.hello,
    ("HEAD", "/api/hello"): Service.hello,
    ("GET", "/api/oauth/profile"): Service.profile,
    ("GET", "/api/oauth/usage"): Service.usage,
    ("POST", "/api/oauth/claude_cli/create_api_key"): Service.create_api_key,
    ("GET", "/oauth/authorize"): Service.authorize,
    ("POST", "/oauth/authorize"): Service.decide,
    ("POST", "/v1/oauth/token"): Service.token,
    ("POST", "/v1/oauth/revoke"): Service.revoke,
    ("POST", f"{GO_PATH}/messages"): Service.go_messages,
    ("POST", f"{GO_PATH}/chat/completions"): Service.go_chat,
    ("POST", f"{GO_PATH}/responses"): Service.go_responses,
    ("GET", f"{GO_PATH}/models"): Service.go_models,
    ("GET", f"{GO_PATH}/usage"): Service.go_usage,
}
