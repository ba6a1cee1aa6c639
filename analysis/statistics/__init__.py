"""What the trials tell: effects, pairs, classes, claims, verdicts, what to try next. Numbers and
sentences; no plot and no page.
"""
