"""``python -m snapmerge_adapters`` is the command ``snapmerge``."""

import sys

from ._entry import main

if __name__ == "__main__":
    sys.exit(main())
