# A device or a descriptor that is named as the output is written to, not replaced.
notes > a; nczip a
nczip -o /dev/null a && test -c /dev/null && echo still a device
nczip -d -o /dev/stdout a.ncz | cmp - a && echo same
echo first > all; nczip -d -o /dev/stdout a.ncz >> all; head -n 2 all
nczip -fo /dev/full a; echo $?
