#!/usr/bin/env bash
# Formatting, shell scripts, static analysis. `make format` repairs the first.
# clang-tidy looks at the sources that differ from BASE when that is set, else at all of them.
set -euo pipefail
cd "$(dirname "$0")/.."

git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror
echo "clang-format: clean"

{
    git ls-files '*.sh' completions
    echo .ci/run
} | xargs shellcheck -x
echo "shellcheck: clean"

tools/build.sh clang >/dev/null
if [ -n "${BASE:-}" ]; then
    git diff --name-only --diff-filter=d "$BASE" -- 'src/*.c'
else
    git ls-files 'src/*.c'
fi | xargs -r -P "$(nproc)" -n 4 clang-tidy -quiet -p build/clang --warnings-as-errors='*' 2>/dev/null
echo "clang-tidy: clean"
