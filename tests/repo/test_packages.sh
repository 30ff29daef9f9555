#!/usr/bin/env bash
# The package script: silent when all is there, lists and stops on another system, refuses misuse.
# shellcheck source=tests/repo/lib.sh
. "$(dirname "$0")/lib.sh"
script=$PWD/tools/install-packages.sh

# Another system: a PATH without dpkg and apt.
mkdir "$scratch/bin"
for tool in bash env sed dirname; do
    ln -s "$(command -v $tool)" "$scratch/bin/$tool"
done
if out=$(PATH=$scratch/bin "$script" test); then
    fail "succeeds on a system without dpkg"
fi
for package in gcc libuv1-dev libcmocka-dev "node-llhttp or libllhttp-dev"; do
    grep -qx "  $package" <<<"$out" || fail "the list does not name $package"
done
grep -q clang-tidy <<<"$out" && fail "the list for tests names a lint package"

# Debian with something missing: says what, and does nothing on a dry run.
printf '#!/bin/sh\nexit 1\n' >"$scratch/bin/dpkg-query"
cat >"$scratch/bin/apt-get" <<END
#!/bin/sh
echo called >"$scratch/apt-called"
END
chmod +x "$scratch/bin/"*
out=$(PATH=$scratch/bin "$script" run --dry-run) || fail "dry run fails"
[[ $out == *"to be installed with apt-get: gcc libc6-dev cmake"* ]] || fail "dry run said: $out"
[ ! -e "$scratch/apt-called" ] || fail "dry run called apt-get"

# Debian with everything there: no output, no apt-get, no network.
printf '#!/bin/sh\nprintf installed\n' >"$scratch/bin/dpkg-query"
printf '#!/bin/sh\n' >"$scratch/bin/promtool"
chmod +x "$scratch/bin/"*
out=$(PATH=$scratch/bin "$script" test) || fail "fails although everything is there"
[ -z "$out" ] || fail "talks although everything is there: $out"
[ ! -e "$scratch/apt-called" ] || fail "called apt-get although everything is there"

for arguments in "" "everything" "run --force" "run --dry-run more"; do
    # shellcheck disable=SC2086
    "$script" $arguments >/dev/null 2>&1 && fail "accepts '$arguments'"
    code=0
    # shellcheck disable=SC2086
    "$script" $arguments >/dev/null 2>&1 || code=$?
    [ "$code" -eq 2 ] || fail "'$arguments' gives $code, not 2"
done
finish
