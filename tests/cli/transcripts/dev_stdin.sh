# /dev/stdin is a name like any other.
notes > a
nczip -c /dev/stdin < a | nczip -d -c /dev/stdin | cmp - a && echo same
notes 2 | nczip -c /dev/stdin | nczip -dc
