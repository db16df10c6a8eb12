# - is standard input, among files too; ./- is a file.
echo file > a
echo 'a dash' > ./-
echo pipe | nczip -c a - ./- | nczip -dc -
