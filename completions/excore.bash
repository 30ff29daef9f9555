# bash completion for excore, printed by `excore completion bash`: do not edit.
# shellcheck shell=bash

_excore_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur"); }

_excore_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
}

_excore() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local verb=${COMP_WORDS[1]} words=''
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        _excore_words 'serve append read tail bench copy status views migrate check config completion help version --help --version'
        return
    fi
    # Bash hands over --name=value as three words.
    if [ "$cur" = = ]; then
        cur=''
    elif [ "$prev" = = ]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    case "$verb $prev" in
    'serve --data' | 'serve -d') _excore_files -d ;;
    'serve --listen' | 'serve -l') : ;;
    'serve --app' | 'serve -a') _excore_files -f ;;
    'serve --config' | 'serve -c') _excore_files -f ;;
    'serve --durability') _excore_words 'full normal' ;;
    'serve --log-level') _excore_words 'debug info warn error off' ;;
    'serve --set' | 'serve -s') : ;;
    'append --data' | 'append -d') _excore_files -d ;;
    'append --url' | 'append -u') : ;;
    'append --tag' | 'append -t') : ;;
    'append --expected' | 'append -e') : ;;
    'append --id') : ;;
    'append --metadata') : ;;
    'append --schema-version') : ;;
    'append --content-type') : ;;
    'read --data' | 'read -d') _excore_files -d ;;
    'read --url' | 'read -u') : ;;
    'read --from') : ;;
    'read --limit' | 'read -n') : ;;
    'read --min-position') : ;;
    'tail --data' | 'tail -d') _excore_files -d ;;
    'tail --url' | 'tail -u') : ;;
    'tail --from') : ;;
    'tail --limit' | 'tail -n') : ;;
    'tail --types') : ;;
    'tail --tags') : ;;
    'tail --streams') : ;;
    'tail --correlation') : ;;
    'tail --min-position') : ;;
    'bench --data' | 'bench -d') _excore_files -d ;;
    'bench --url' | 'bench -u') : ;;
    'bench --seconds' | 'bench -s') : ;;
    'bench --in-flight' | 'bench -n') : ;;
    'bench --size') : ;;
    'bench --durability') _excore_words 'full normal' ;;
    'copy --from') _excore_files -d ;;
    'copy --to') _excore_files -d ;;
    'status --data' | 'status -d') _excore_files -d ;;
    'status --url' | 'status -u') : ;;
    'views --data' | 'views -d') _excore_files -d ;;
    'views --url' | 'views -u') : ;;
    'views --reason') : ;;
    'views --by') : ;;
    'views --after') : ;;
    'views --limit' | 'views -n') : ;;
    'migrate --data' | 'migrate -d') _excore_files -d ;;
    'check --data' | 'check -d') _excore_files -d ;;
    'check --listen' | 'check -l') : ;;
    'check --app' | 'check -a') _excore_files -f ;;
    'check --config' | 'check -c') _excore_files -f ;;
    'check --durability') _excore_words 'full normal' ;;
    'check --log-level') _excore_words 'debug info warn error off' ;;
    'check --set' | 'check -s') : ;;
    'config --data' | 'config -d') _excore_files -d ;;
    'config --listen' | 'config -l') : ;;
    'config --app' | 'config -a') _excore_files -f ;;
    'config --config' | 'config -c') _excore_files -f ;;
    'config --durability') _excore_words 'full normal' ;;
    'config --log-level') _excore_words 'debug info warn error off' ;;
    'config --set' | 'config -s') : ;;
    *)
        case $verb in
        serve) words='--data --listen --app --config --durability --log-level --set --new-log --migrate --help --version' ;;
        append) words='--data --url --tag --expected --id --metadata --schema-version --content-type --json --help --version' ;;
        read) words='--data --url --from --limit --backward --min-position --current --json --raw --help --version' ;;
        tail) words='--data --url --from --limit --types --tags --streams --correlation --no-follow --min-position --current --json --raw --help --version' ;;
        bench) words='--data --url --seconds --in-flight --size --durability --json --help --version' ;;
        copy) words='--from --to --follow --verify-only --json --help --version' ;;
        status) words='--data --url --json --help --version' ;;
        views) words='list show parked retry skip --data --url --reason --by --after --limit --json --help --version' ;;
        migrate) words='--data --create --new-log --without-wal --dry-run --help --version' ;;
        check) words='--data --listen --app --config --durability --log-level --set --help --version' ;;
        config) words='--data --listen --app --config --durability --log-level --set --json --help --version' ;;
        completion) words='bash --help --version' ;;
        help) words='serve append read tail bench copy status views migrate check config completion help version --help --version' ;;
        version) words='--json --help --version' ;;
        esac
        _excore_words "$words"
        ;;
    esac
}

complete -F _excore excore
