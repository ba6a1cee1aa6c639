"""Which photographs there are: where they come from (sources, download, zips, sample), which folder
is for what (folders, layout), what each file is (jpeg, levels, unreadable, digests), and the
data set with its classes, faults, notes and fingerprint (dataset).
"""
