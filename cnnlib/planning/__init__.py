"""What a sweep will do, checked before anything starts: what is asked (settings), the plan (plan),
what networks cost (cost), what a sweep goes on from (resume), how it was run (provenance).
"""
