# A fifo and a process substitution are read as streams where the output is named.
mkfifo pipe
notes > pipe & nczip -c pipe > a.ncz
nczip -dc a.ncz | cmp - <(notes) && echo same
nczip -o b.ncz <(notes 5) && nczcat b.ncz | cmp - <(notes 5) && echo same
nczip -dc <(cat a.ncz) | cmp - <(notes) && echo same
nczip -c < <(notes 2) > >(nczip -d > c; touch done); until [ -e done ]; do sleep 0.01; done; cat c
nczip pipe; echo $?
