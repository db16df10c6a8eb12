# -l names the model, by its hash where it is not here; -lv says what decoding needs.
spoken > a; head -c 500 /dev/urandom > b
export NCZIP_MODEL_DIR=$MODELS
nczip -8 --block-size 700 -c a > a.ncz; nczip -9 -c a b >> a.ncz
nczip -8 -c b > b.ncz
columns() { cut -c 1-16,58-; }
nczip -l a.ncz b.ncz | columns
NCZIP_MODEL_DIR=none nczip -l a.ncz b.ncz | columns
nczip -lv a.ncz | grep -vE 'Ratio|Archive' | mask
NCZIP_MODEL_DIR=none nczip -lv a.ncz | grep -E 'Level|Memory|Model' | mask
NCZIP_MODEL_DIR=none nczip -lv b.ncz | grep -E 'Level|Memory|Model' | mask
nczip -8 -v -T1 -c a 2>&1 > /dev/null | sed -n 1p | mask
