"""Functions that numba compiles when they are first called, and keeps compiled in the cache."""

import numba

from cnnlib.system.surroundings import cache_folder

# Beside its file, where numba would keep what it compiled, not everybody may write.
numba.config.CACHE_DIR = numba.config.CACHE_DIR or str(cache_folder("numba"))  # type: ignore[attr-defined]

compiled = numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
inlined = numba.njit(inline="always")
