"""A wire-accurate simulated Anthropic and OpenCode Go on loopback, for `tidegate demo` and for the tests.

    async with SimulatedProvider.running() as sim:
        work = sim.add_login("Work")
        work.script(QuotaRejected())
        settings = Settings(endpoints=sim.endpoints())

It shares no code with Tidegate's own listener, upstream and providers: what one of them gets wrong, the other shows.
`faults` (what can go wrong) and `accounts` (who has what left) are values; `turns`, `dialects`, `answers`, `refusals`
and `authority` know the words; `service` decides, `delivery`, `codings` and `connection` send; `provider` runs it all.
"""

from core.simulator.accounts import ExtraUsage, SimulatedAccount, Window
from core.simulator.authority import CLIENT_ID, challenge_of
from core.simulator.connection import Received
from core.simulator.provider import SimulatedProvider
from core.simulator.turns import pieces_for

__all__ = [
    "CLIENT_ID",
    "ExtraUsage",
    "Received",
    "SimulatedAccount",
    "SimulatedProvider",
    "Window",
    "challenge_of",
    "pieces_for",
]
