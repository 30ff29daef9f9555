#!/usr/bin/env bash
# House rules that a machine can see: calls that are banned, files and functions that grew too long.
# Exceptions stand in house_allow.txt, each with its reason.
# shellcheck source=tests/repo/lib.sh
. "$(dirname "$0")/lib.sh"

allow=tests/repo/house_allow.txt

is_allowed() {
    grep -qE "^$1[[:space:]]+$2([[:space:]]|\$)" $allow
}

# Comments and string literals blanked, line numbers kept.
code_of() {
    awk '
    {
        out = ""; rest = $0
        while (rest != "") {
            if (in_comment) {
                at = index(rest, "*/")
                if (!at) break
                rest = substr(rest, at + 2); in_comment = 0
                continue
            }
            c = substr(rest, 1, 1)
            if (substr(rest, 1, 2) == "/*") { in_comment = 1; rest = substr(rest, 3) }
            else if (substr(rest, 1, 2) == "//") break
            else if (c == "\"" || c == "\047") {
                if (!match(rest, "^" c "([^" c "\\\\]|\\\\.)*" c)) break
                out = out c c; rest = substr(rest, RLENGTH + 1)
            } else { out = out c; rest = substr(rest, 2) }
        }
        print out
    }' "$1"
}

# No function that overruns, hides state between threads, or takes time and chance past the port
# (kernel/clock); and no library code that ends the process (R-01-04).
everywhere='strcpy|strcat|sprintf|vsprintf|gets|strtok|strncpy|strncat|alloca|atoi|atol|atof|scanf|sscanf'
everywhere+='|rand|srand|random|srandom|drand48|time|gettimeofday|clock_gettime|localtime|gmtime|ctime|asctime'
everywhere+='|tmpnam|tempnam|mktemp|setjmp|longjmp|system|popen|signal'
libraries='abort|exit|_exit|quick_exit|printf|puts|putchar|perror|err|errx|warn|warnx'

check_calls() {
    local file=$1 banned=$2 line name
    while IFS=: read -r line name; do
        is_allowed "$file" "$name" || fail "$file:$line: banned call $name()"
    done < <(code_of "$file" | grep -nvE '^[[:space:]]*#' |
        grep -oE "^[0-9]+:|(^|[^A-Za-z0-9_.>])($banned)[[:space:]]*\(" |
        awk -F: '/^[0-9]+:$/ { line = $1; next } { gsub(/[^A-Za-z0-9_]/, ""); print line ":" $0 }')
}

# The checker itself: three calls in code, none in comments, strings or longer names.
cat >"$scratch/bad.c" <<'END'
/* strcpy(a, b); a comment, time(NULL)
 * gets(a) */
int n = strlen(a); strcpy(a, "time(NULL)");
x->time (1); ex_time(2); t = time (NULL); // gets(a)
char c = '"'; sprintf(a, "\"gets(");
END
found=$(check_calls "$scratch/bad.c" "$everywhere" | sed 's/.*bad.c//' | tr '\n' ' ')
want="FAIL: :3: banned call strcpy() FAIL: :4: banned call time() FAIL: :5: banned call sprintf() "
[ "$found" = "${want//FAIL: /}" ] || fail "the checker of calls found: $found"

while read -r file; do
    case $file in
    src/cli/* | examples/embedded/*) check_calls "$file" "$everywhere" ;;
    *) check_calls "$file" "$everywhere|$libraries" ;;
    esac
done < <(git ls-files 'src/*.c' 'src/*.h' 'include/*.h' 'examples/*.c')

while read -r file; do
    lines=$(wc -l <"$file")
    [ "$lines" -le 1500 ] || is_allowed "$file" lines || fail "$file: $lines lines, over 1500: split it"
    read -r first <"$file" || true
    case $first in
    '/*'*) ;;
    *) fail "$file: does not open with a comment that says what it is for" ;;
    esac
done < <(git ls-files 'src/*.[ch]' 'include/*.h' 'tests/*.[ch]' 'bench/*.[ch]' 'examples/*.[ch]')

if command -v ctags >/dev/null && ctags --version 2>/dev/null | grep -q Universal; then
    while read -r length name file; do
        is_allowed "$file" "$name" || fail "$file: $name() has $length lines, over 100"
    done < <(git ls-files 'src/*.c' | ctags -L - -f - --c-kinds=f --fields=+ne-t | awk -F'\t' '
        { begin = end = 0
          for (i = 4; i <= NF; i++) {
              if ($i ~ /^line:/) begin = substr($i, 6)
              if ($i ~ /^end:/) end = substr($i, 5)
          }
          if (end - begin + 1 > 100) print end - begin + 1, $1, $2 }')
fi

# An exception that nothing needs any more is taken out again.
while read -r file name _; do
    [ -e "$file" ] || fail "$allow: $file is gone"
    grep -q "$name" "$file" 2>/dev/null || [ "$name" = lines ] || fail "$allow: $file does not use $name any more"
done < <(grep -v '^#' $allow)
finish
