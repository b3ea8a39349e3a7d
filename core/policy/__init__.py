"""Decisions as pure functions: who serves, what an outcome means, what to do next, what to tell the person."""
