"""`python -m cnnlib.tracking FOLDER`: sends the runs of a sweep to W&B."""

import sys

from cnnlib.tracking.follower import main

if __name__ == "__main__":
    sys.exit(main())
