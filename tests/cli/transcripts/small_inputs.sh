# Nothing, one byte, and an archive of an archive.
: > empty; printf x > one
for level in 1 5 6; do
    nczip -$level -c empty | nczip -d | cmp - empty && nczip -$level -c one | nczip -d | cmp - one && echo same
done
nczip one && nczip -f one.ncz && nczcat one.ncz.ncz | nczcat
echo
