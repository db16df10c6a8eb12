# --base FILE builds on a file that both sides have; decompressing needs that file, and says which it is.
seq 1 3000 > v1
{ seq 1 1200; echo changed; seq 1201 3000; } > v2
nczip -v -k -T1 --base v1 v2 2>&1 | sed 's/memory up to .*/memory/'
nczip -l v2.ncz
nczip -lv v2.ncz | grep -E 'Method|Level|Memory|Base'
nczip -lv --base v1 v2.ncz | grep -c 'to decode'
nczip -d -c v2.ncz | wc -c; echo "${PIPESTATUS[0]}"
nczip -d -c --base v2 v2.ncz | wc -c; echo "${PIPESTATUS[0]}"
nczip -t v2.ncz; echo $?
nczip -t --base v1 v2.ncz; echo $?
nczip -d --keep-going -c v2.ncz; echo $?
nczip -d --keep-going -c --base v1 v2.ncz | cmp - v2; echo "${PIPESTATUS[0]}"
nczip -d -c --base v2 --base v1 v2.ncz | cmp - v2; echo "${PIPESTATUS[0]}"
for level in 1 2 3 4 5 6; do
    nczip -$level --base v1 < v2 > piped; nczip -d --base v1 < piped | cmp - v2
    (( $(stat -c %s piped) < 100 )) && echo "$level: small"
done
nczip --base v1 --base v2 a; echo $?
nczip --base nothing v1; echo $?
nczip --base /dev/zero v1; echo $?
ls
