"""What this process is given, and how it speaks: cores, memory and GPUs (limits, gpus), the folders
that must be there (surroundings), secrets kept out of what is written (redaction), times, sizes
and values for people (units).
"""
