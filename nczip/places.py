"""Where this platform keeps a user's data."""

import os
import sys
from pathlib import Path


def user_data(what: str, variable: str) -> Path:
    """The directory that the environment ``variable`` names, else nczip's own one for ``what``."""
    chosen = os.environ.get(variable)
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        home = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        home = Path.home() / "Library" / "Application Support"
    else:
        home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return home / "nczip" / what
