"""What other tools write of a search: Optuna's storages, folders of Ray Tune, Lightning and
TensorBoard. Each is read without its tool, into a table of runs and the histories of these.
"""
