# A name that is no path of the core is one sentence, not passed over; levels of zstd load no core.
notes > a
NCZIP_ISA=avx3 nczip -4 -c a 2>&1 >/dev/null | sed 's/none of .*/none of those/'
NCZIP_ISA=avx3 nczip -1 -c a | nczip -dc | cmp - a && echo same
