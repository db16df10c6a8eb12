# -lv says what decoding needs: method, memory, model.
notes 1000 > a; nczip -3 a; nczip -c -2 --block-size 8K a >> a.ncz
nczip -lv a.ncz | sed -E '/Archive|Ratio|Memory/s/[0-9][0-9.]*/#/g'
nczip -4 -c a > mixture.ncz && nczip -lv mixture.ncz | grep Model | mask
