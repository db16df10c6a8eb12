# A name that is no path of the core is one sentence, not passed over; to unpack zstd takes no core.
notes > a
NCZIP_ISA=avx3 nczip -4 -c a 2>&1 >/dev/null | sed 's/none of .*/none of those/'
nczip -1 -c a | NCZIP_ISA=avx3 nczip -dc | cmp - a && echo same
