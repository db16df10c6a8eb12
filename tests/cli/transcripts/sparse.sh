# Zeros become holes in a decompressed file, at its end too.
truncate -s 20M a; printf x | dd of=a bs=1 seek=9000000 conv=notrunc status=none
nczip -1 a; mv a was
nczip -d a.ncz; cmp a was && stat -c %s a
test "$(du -k a | cut -f1)" -lt 1024 && echo sparse
