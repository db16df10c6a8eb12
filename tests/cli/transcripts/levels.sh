# Every level gives the bytes back; the last of several counts.
notes 2000 > a
for level in 1 2 3 4 5 6; do
    nczip -$level -c a > $level.ncz
    nczip -dc $level.ncz | cmp - a && echo "$level: same"
done
nczip -c a | cmp - 5.ncz && echo 5 is the default
nczip --level 2 -c a | cmp - 2.ncz && echo spelled out
nczip -1 -6 -2 -c a | cmp - 2.ncz && echo the last counts
nczip -52c a | cmp - 2.ncz && echo in one word too
