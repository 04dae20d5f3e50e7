"""``python -m snapmerge_adapters`` is the command ``snapmerge``."""

import sys

from snapmerge_adapters.entry import main

if __name__ == "__main__":
    sys.exit(main())
