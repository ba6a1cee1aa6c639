"""What is tried next, and what stops: W&B's sweep files (sweep_file, bounds), the space of a sweep
(space), TPE (tpe: it alone knows HyperOpt), successive halving (halving), the configuration to
compare with (reference). Loads no torch.
"""
