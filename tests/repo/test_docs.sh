#!/usr/bin/env bash
# Links between the markdown pages resolve; every path that a page names in `code` exists, and so does every
# configuration key.
# shellcheck source=tests/repo/lib.sh
. "$(dirname "$0")/lib.sh"

# The anchor GitHub gives to a heading.
anchors() {
    sed -n 's/^#\{1,6\} *//p' "$1" | tr '[:upper:]' '[:lower:]' | sed -e 's/[^a-z0-9 _-]//g' -e 's/ /-/g'
}

check_link() {
    local page=$1 link=$2 path anchor target
    path=${link%%#*}
    anchor=${link#"$path"}
    target=$page
    if [ -n "$path" ]; then
        target=$(dirname "$page")/$path
    fi
    if [ ! -e "$target" ]; then
        fail "$page: broken link $link"
    elif [ -n "$anchor" ] && ! anchors "$target" | grep -qx -- "${anchor#\#}"; then
        fail "$page: no heading for $link"
    fi
}

# shellcheck disable=SC2016 # the back quotes are markdown's
while read -r page; do
    while read -r link; do
        check_link "$page" "$link"
    done < <(grep -oE '\]\([^) ]+\)' "$page" | sed -e 's/^](//' -e 's/)$//' | grep -vE '^[a-z]+:' || true)
    while read -r path; do
        compgen -G "$path" >/dev/null || fail "$page: \`$path\` does not exist"
    done < <(grep -oE '`(src|include|tests|tools|docs|examples|bench|cmake|completions)/[A-Za-z0-9_./*-]*`' "$page" |
        tr -d '`' | LC_ALL=C sort -u || true)
done < <(git ls-files '*.md')

# A word such as store.data is a key of src/app/settings.c, or a file.
keys=$(grep -oE 'X\("[a-z_0-9.]+"' src/app/settings.c | cut -d'"' -f2)
[ "$(wc -l <<<"$keys")" -gt 40 ] || fail "src/app/settings.c: its table of keys cannot be read"
groups=$(cut -d. -f1 <<<"$keys" | sort -u | paste -sd'|')
while IFS=: read -r page line word; do
    word=$(grep -oE "($groups)\.[a-z0-9_]+$" <<<"$word")
    case $word in
    *.c | *.h | *.md | *.sh | *.db | *.so | *.sql) ;;
    *) grep -qxF -- "$word" <<<"$keys" || fail "$page:$line: there is no configuration key $word" ;;
    esac
done < <(git ls-files '*.md' | xargs grep -noE "(^|[^A-Za-z0-9_./-])($groups)\.[a-z0-9_]+" || true)

for page in README.md ARCHITECTURE.md CONTRIBUTING.md CHANGELOG.md SECURITY.md LICENSE; do
    [ -s $page ] || fail "$page is missing"
done

# The code map names every layer that has code.
while read -r layer _; do
    if [ -n "$(git ls-files "src/$layer")" ]; then
        grep -q "$layer" ARCHITECTURE.md || fail "ARCHITECTURE.md does not mention the layer $layer"
    fi
done < <(grep '^[a-z]' src/LAYERS)
finish
