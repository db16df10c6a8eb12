# -l reads headers; no size on standard error, no file written.
notes 1000 > a; head -c 3000 /dev/urandom > b; : > empty
nczip -3 a; nczip b empty
nczip -l a.ncz b.ncz empty.ncz | sed -E 's/ +[0-9.]+ KiB +([0-9.]+) KiB +[0-9.]+ +[0-9.]+ / # \1 # # /'
nczip -l < a.ncz | tail -n 1 | cut -c 70-
nczip -l a b.ncz > /dev/null; echo $?
ls
