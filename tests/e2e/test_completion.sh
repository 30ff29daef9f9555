#!/usr/bin/env bash
# The completion script is the one that is installed, and completes what the verbs take.
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

expect 0 "$excore" completion bash
diff "$tests/../../completions/excore.bash" - <<<"$out" ||
    fail "completions/excore.bash is not up to date: excore completion bash > completions/excore.bash"
expect 2 "$excore" completion zsh
has "$err" "there is completion for bash, not for 'zsh'"
expect 2 "$excore" completion

# complete WORD…: what bash would offer for the last word.
complete_words() {
    bash -c '
        . "$1"; shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        $(complete -p excore | grep -oE "_excore[a-z_]*" | head -n 1)
        printf "%s " "${COMPREPLY[@]}"' bash "$tests/../../completions/excore.bash" "$@"
}

mkdir -p folder-a/inner folder-b
touch file-a
is "$(complete_words excore '')" "serve append read tail bench copy status views migrate check config completion help version --help --version "
is "$(complete_words excore ta)" "tail "
is "$(complete_words excore tail --t)" "--types --tags "
is "$(complete_words excore serve --durability '')" "full normal "
is "$(complete_words excore serve --durability = n)" "normal "
is "$(complete_words excore serve --durability =)" "full normal "
is "$(complete_words excore serve --data folder | tr ' ' '\n' | sort | tr '\n' ' ')" "folder-a folder-b "
is "$(complete_words excore serve -d folder-b)" "folder-b "
is "$(complete_words excore serve --app file)" "file-a "
is "$(complete_words excore help v)" "views version "
is "$(complete_words excore completion '')" "bash --help --version "
is "$(complete_words excore append --tag '')" " "
is "$(complete_words excore unknown '')" " "

# Every option that a help names is offered.
for verb in serve append read tail bench copy status views migrate check config; do
    offered=$(complete_words excore $verb --)
    for option in $("$excore" $verb --help | sed -n 's/^  .... *\(--[a-z-]*\).*/\1/p'); do
        has " $offered" " $option "
    done
done
finish
