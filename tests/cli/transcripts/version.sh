# -V and --version.
nczip -V | sed 's/[0-9.]*$/#/'
test "$(nczip --version)" = "$(unnczip -V)" && echo same
test "$(nczip -V)" = "nczip $(python -c 'import nczip; print(nczip.__version__)')" && echo the same as the package
