"""Trains one configuration: epoch by epoch (trial), again on a new seed or on everything (final),
with its photographs and kept files on whichever machine it runs (on_machine).
"""
