"""`tidegate doctor`: what is, gathered and then judged. It mends nothing; every finding comes with what to do.

`gather` asks, `judge` is pure, `report` is for a bug report: it tells nobody who the person is.
"""
