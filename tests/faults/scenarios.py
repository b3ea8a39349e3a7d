"""All scenarios of the fault matrix."""

from tests.faults import scenarios_answers, scenarios_around, scenarios_logins, scenarios_network

ALL = (
    *scenarios_network.SCENARIOS,
    *scenarios_answers.SCENARIOS,
    *scenarios_logins.SCENARIOS,
    *scenarios_around.SCENARIOS,
)
