"""The truth of a sweep: its events (events, event_shapes), the state that follows from them
(ledger, finals, scores), the two tables (tables), the replay and the bill, who follows them
(followers), and their copy in a bucket (stored, mirror). Loads no torch.
"""
