"""``python -m snapmerge_adapters`` is the command ``snapmerge``."""

import sys

from ._cli import main

sys.exit(main())
