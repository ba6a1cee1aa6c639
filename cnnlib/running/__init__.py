"""Runs a sweep: as a whole (sweep), its trials through Ray Tune (tuning, worker, recorder), its
finals (finals), on one machine or a cluster (cluster, survey, doctor, machine), on the screen
(progress). The only room that knows Ray.
"""
