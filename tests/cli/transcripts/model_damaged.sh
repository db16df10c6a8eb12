# A model that is not what its name says is an error, both ways, and leaves nothing.
mkdir models; cp "$MODELS"/* models
spoken > a
NCZIP_MODEL_DIR=models nczip -8 -c a > a.ncz
file=$(echo models/*)
printf 'x' | dd of="$file" bs=1 seek=30000 conv=notrunc status=none
export NCZIP_MODEL_DIR=models
nczip -8 -c a 2>&1 | sed 's/with .*/with #/'; nczip -8 a 2> /dev/null; echo $?
nczip -d -o out a.ncz 2>&1 | sed 's/with .*/with #/'; nczip -d -o out a.ncz 2> /dev/null; echo $?
nczip -lv a.ncz | grep -c 'Memory:     not known without the model'
echo other > "$file"
nczip -t a.ncz; echo $?
ls
