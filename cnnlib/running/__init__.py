"""Runs a sweep: as a whole (sweep), its trials through Ray Tune (tuning, recorder), its
finals (finals), on one machine or a cluster (cluster, doctor, machine), on the screen
(progress). The only room that knows Ray.
"""
