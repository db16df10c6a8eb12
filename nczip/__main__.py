"""``python -m nczip`` is ``nczip``."""

import sys

from nczip.cli.entry import main

sys.exit(main())
