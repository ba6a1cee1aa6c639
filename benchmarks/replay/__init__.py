"""Replays searches over tables of learning curves; benchmarks/policies.py is the command."""
