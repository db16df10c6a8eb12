# -T changes how long it takes and never the bytes.
notes 40000 > a
for threads in 1 2 3 0; do nczip -1 --block-size 256K -T$threads -c a | cksum; done | uniq | wc -l
nczip -1 --block-size 256K -T2 a
for threads in 1 2 3 0; do nczip -dc -T$threads a.ncz | cmp - a && echo same; done
nczip -T -1 a; echo $?
