# A reader that has seen enough ends nczip silently, as it ends every filter.
head -c 5000000 /dev/zero > zeros
nczip -1 zeros
nczip -dc zeros.ncz | head -c 1 | wc -c
echo "${PIPESTATUS[0]}"
head -c 20000000 /dev/urandom | nczip -1 | head -c 1 | wc -c
echo "${PIPESTATUS[1]}"
nczip --help | head -n 1
