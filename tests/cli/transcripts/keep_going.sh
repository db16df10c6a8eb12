# A damaged archive is refused; --keep-going writes what is intact, lists what is lost, exits 2.
head -c 30000 /dev/urandom > a
nczip -1 --block-size 10000 a
printf 'XXXX' | dd of=a.ncz bs=1 seek=15000 conv=notrunc status=none
mv a was
nczip -d a.ncz; echo $?
ls
nczip -d --keep-going a.ncz 2> said; echo $?
sed -E 's/archive bytes [0-9]+ to [0-9]+/archive bytes # to #/' said
{ head -c 10000 was; tail -c 10000 was; } | cmp - a && echo the rest is intact
nczip -d --keep-going -q -c a.ncz 2>/dev/null | cmp - a; echo "${PIPESTATUS[0]}"
nczip -d --keep-going --rm -f a.ncz 2>/dev/null; echo $?
ls
nczip -c was | nczip -d --keep-going | wc -c; echo "${PIPESTATUS[1]}"
nczip --keep-going a; echo $?
