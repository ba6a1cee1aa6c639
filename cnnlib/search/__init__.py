"""What is tried next, and what stops: W&B's sweep files (sweep_file, bounds), the space of a sweep
(space), the searchers by name (searcher, searchers; tpe: it alone knows HyperOpt), the stopping
rules by name (stopping, decision, halving, promotion), the configuration to compare with
(reference). Loads no torch.
"""
