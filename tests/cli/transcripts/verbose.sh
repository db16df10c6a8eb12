# -v says what is done; without it, and without a terminal, success is silent.
notes > a
nczip -v -T1 -2 a 2>&1 | mask
nczip -dvf a.ncz 2>&1 | mask
nczip -f a 2>&1 | wc -c
