# --block-size cuts blocks: 10,000 bytes are three of 4 KiB.
head -c 10000 /dev/zero > a
nczip -2 --block-size 4K a
nczip -lv a.ncz | grep Blocks
nczip -dc a.ncz | cmp - a && echo same
nczip --block-size 0 a; echo $?
nczip --block-size 1T -f a; echo $?
