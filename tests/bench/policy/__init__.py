"""How well the real policy chooses, measured in a made-up world against what perfect foresight could have done.

`demand` what clients ask · `world` what providers do · `workloads` accounts and demand together · `play` the real
`choose`, `lease`, `observe` and `release` in virtual time · `bound` what nobody can exceed · `table` the report.
docs/policy.md says what is modelled and what is not.
"""
