#!/usr/bin/env bash
# Install the Debian packages that are missing: install-packages.sh run|postgres|test|lint [--dry-run]
#
# Reads tools/packages.txt. Says what it will do before it does it, asks nothing, starts no
# service. Touches neither the network nor sudo when everything is there already. On a system
# without dpkg and apt it prints the list and stops with 1.
set -euo pipefail
cd "$(dirname "$0")/.."

list=tools/packages.txt
unpack_dir=.cache/tools

usage() {
    echo "usage: tools/install-packages.sh run|postgres|test|lint [--dry-run]" >&2
    exit 2
}

# The groups that a goal asks for, each on top of the one before.
groups_of() {
    case $1 in
    run) echo "run" ;;
    postgres) echo "run postgres" ;;
    test) echo "run postgres test unpack" ;;
    lint) echo "run postgres test unpack lint" ;;
    *) usage ;;
    esac
}

# Prints "group names tool" for every line of the list that belongs to the wanted groups.
wanted_lines() {
    local group names tool
    while read -r group names tool; do
        case " $wanted " in
        *" $group "*) echo "$group $names ${tool#tool:}" ;;
        esac
    done < <(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$list")
}

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# True when one of the alternatives "a|b" is installed, or the tool is on the PATH.
is_there() {
    local name
    if [ -n "$2" ] && command -v "$2" >/dev/null; then
        return 0
    fi
    for name in ${1//|/ }; do
        if is_installed "$name"; then
            return 0
        fi
    done
    return 1
}

# Debian's postgresql would make a cluster "main" and start it on port 5432. Nobody asked for one: say so
# before the package looks, unless the system has its own settings already.
no_main_cluster() {
    local settings=/etc/postgresql-common/createcluster.conf
    if [ ! -e "$settings" ]; then
        as_root mkdir -p "$(dirname "$settings")"
        echo "create_main_cluster = false" | as_root tee "$settings" >/dev/null
    fi
}

# The first of the alternatives that apt can install.
choose() {
    local name
    for name in ${1//|/ }; do
        if [[ $(apt-cache policy "$name" 2>/dev/null) =~ Candidate:\ [0-9] ]]; then
            echo "$name"
            return
        fi
    done
    echo "install-packages: no package named ${1//|/ or } in the package sources of this system" >&2
    return 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "install-packages: need root (or sudo) for: $*" >&2
        return 1
    fi
}

# Put the programs of a package below .cache/tools without installing it.
unpack() {
    local scratch
    scratch=$(mktemp -d)
    chmod 755 "$scratch"
    (cd "$scratch" && apt-get -q download "$1")
    mkdir -p "$unpack_dir"
    dpkg-deb -x "$scratch"/*.deb "$unpack_dir"
    rm -rf "$scratch"
}

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    usage
fi
wanted=$(groups_of "$1")
dry_run=${2:-}
if [ -n "$dry_run" ] && [ "$dry_run" != --dry-run ]; then
    usage
fi

PATH="$PWD/$unpack_dir/usr/bin:$PATH"

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "This is not a Debian system. Install what matches these Debian packages, then use cmake directly:"
    wanted_lines | while read -r _ names _; do echo "  ${names//|/ or }"; done
    exit 1
fi

missing=()
to_unpack=()
while read -r group names tool; do
    if is_there "$names" "$tool"; then
        continue
    elif [ "$group" = unpack ]; then
        to_unpack+=("$names")
    else
        missing+=("$names")
    fi
done < <(wanted_lines)

if [ ${#missing[@]} -eq 0 ] && [ ${#to_unpack[@]} -eq 0 ]; then
    exit 0
fi
if [ ${#missing[@]} -gt 0 ]; then
    echo "Missing Debian packages, to be installed with apt-get: ${missing[*]}"
fi
if [ ${#to_unpack[@]} -gt 0 ]; then
    echo "Packages to be unpacked into $unpack_dir (not installed): ${to_unpack[*]}"
fi
if [ -n "$dry_run" ]; then
    exit 0
fi

as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update
if [ ${#missing[@]} -gt 0 ]; then
    chosen=()
    for names in "${missing[@]}"; do
        name=$(choose "$names")
        chosen+=("$name")
        [ "$name" != postgresql ] || no_main_cluster
    done
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q install -y --no-install-recommends "${chosen[@]}" </dev/null
fi
for name in ${to_unpack[@]+"${to_unpack[@]}"}; do
    unpack "$name"
done
