# An archive of a later major version is told from a damaged one.
python - <<'PY'
import zlib
from pathlib import Path
body = b"\x9cNZ\x2f" + b"\x03" + b"abc"
Path("newer.ncz").write_bytes(body + zlib.crc32(body).to_bytes(4, "little"))
Path("damaged.ncz").write_bytes(body + b"\0\0\0\0")
PY
nczip -d newer.ncz; echo $?
nczip -d damaged.ncz; echo $?
ls
