# Standard streams may be closed.
notes > a
nczip -c a >&-; echo $?
nczip < a >&- ; echo $?
nczip -c <&- > /dev/null; echo $?
nczip missing 2>&-; echo $?
nczip a <&- >&- 2>&-; echo $?
ls
