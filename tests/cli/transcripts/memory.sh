# -M makes tables smaller when compressing, and is a limit with the need named when decompressing.
notes 20000 > a
nczip -4 -M 64M -c a > small.ncz && nczip -dc -M 64M small.ncz | cmp - a && echo fits
nczip -4 --block-size 64M -c a > large.ncz
nczip -d -M 26M -c large.ncz > /dev/null 2> said; echo $?
mask < said
nczip -M 1K a 2> said; echo $?
mask < said
nczip -M lots a; echo $?
ls
