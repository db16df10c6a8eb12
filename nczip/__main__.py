"""``python -m nczip`` is ``nczip``."""

import sys

from nczip.cli.main import main

sys.exit(main())
