# Installs the release $1 from release.tar, whose digest is in $UPLOAD_SHA256.
# A folder without `complete` is a run that died, and is made anew. No index, no compiler, no package of Debian's.
set -eu
umask 022
incoming=/opt/mailserver/incoming
folder=/opt/mailserver/releases/$1
trap 'rm -rf "$incoming"' EXIT
cd "$incoming"
echo "$UPLOAD_SHA256  release.tar" | sha256sum --check --quiet
rm -rf "$folder"
tar --no-same-owner -xf release.tar
rm release.tar
python3 -m venv --without-pip "$folder"
python3 "$(echo installer/pip-*.whl)/pip" --python "$folder/bin/python" install --quiet --no-index --no-cache-dir \
    --no-deps --require-hashes --find-links wheels --requirement install.txt >&2
"$folder/bin/mailserver" --version
mv about.json "$folder/about.json"
sync -f "$folder"
touch "$folder/complete"
sync -f "$folder"
