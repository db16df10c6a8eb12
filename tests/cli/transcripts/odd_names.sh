# Any name that a file can have; what could command a terminal is not shown.
notes > 'a b'; notes > 'ünï'; notes > $'new\nline'; notes > $'\xff\xfe'
nczip * && ls -b
nczip -d *.ncz; echo $?
long=$(printf 'x%.0s' {1..255}); notes > "$long"
nczip "$long" 2>&1 | sed 's/xx*/x.../'
nczip -l $'new\nline.ncz' | tail -n 1 | cut -c 70-
printf '%s\n' "$(nczip $'no\e[31msuch' 2>&1)"
