"""From a sweep's folder to a report: tables in, one page with its figures and tables out."""

from contextlib import suppress

from cnnlib.system.surroundings import house_libraries

with suppress(OSError):  # a report needs no cache; matplotlib then warns that it takes a folder
    house_libraries()  # matplotlib asks when it is imported
