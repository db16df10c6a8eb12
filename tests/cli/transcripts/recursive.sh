# -r takes every file below a directory and passes over what is not for it.
mkdir -p d/e; notes > d/a; notes > d/e/b; ln -s a d/link; mkfifo d/pipe
nczip d; echo $?
nczip -r d; echo $?
find d | sort
nczip -r d; echo $?
nczip -rf --rm d; echo $?
find d | sort
nczip -dr --rm d; echo $?
find d | sort
