#!/bin/sh
# notify_libsystemd.sh - libsystemd's own sd_notify() over vsock, to `sockrig run --notify`
#
# Debian 12's libsystemd (252) knows no vsock. That of bookworm-backports is fetched by apt, with a
# configuration of its own and the signatures checked, and unpacked beside the tests' programs;
# nothing is installed. Where no mirror can be reached this fails and says so.
. "${0%/*}/compare.inc"
. "${0%/*}/vsock.inc"

unset NOTIFY_SOCKET CREDENTIALS_DIRECTORY
oldest=254
place=${SOCKRIG_GUESTS:+${SOCKRIG_GUESTS%/*}/libsystemd}
place=${place:-$work/libsystemd}

missing() {
    failed "libsystemd $oldest or later isn't here: $1"
    finish
}

# The mirrors from which this system gets Debian 12 itself.
mirrors() {
    apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
        sed -n 's/^bookworm //p' | sort -u
}

fetch() { # into $1
    mkdir -p "$1/lists/partial" "$1/cache/archives/partial" "$1/none" || return
    mirrors | sed 's|.*|deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] &|
        s|$| bookworm-backports main|' >"$1/sources.list"
    [ -s "$1/sources.list" ] || missing 'apt knows no mirror of bookworm'
    set -- "$1" -o "Dir::Etc::SourceList=$1/sources.list" -o "Dir::Etc::SourceParts=$1/none" \
        -o "Dir::Etc::PreferencesParts=$1/none" -o "Dir::State::Lists=$1/lists" \
        -o "Dir::Cache=$1/cache" -o Acquire::Retries=2 -o APT::Sandbox::User="$(id -un)"
    folder=$1
    shift
    timeout "$limit" apt-get "$@" -qq update >"$folder/log" 2>&1 &&
        (cd "$folder" && timeout "$limit" apt-get "$@" -qq download \
            libsystemd0/bookworm-backports) >>"$folder/log" 2>&1 &&
        dpkg-deb -x "$folder"/libsystemd0_*.deb "$folder/root"
}

# Whole, or not there.
if [ ! -e "$place/version" ]; then
    fetch "$work/fetched" || missing "$(tail -n 3 "$work/fetched/log" 2>/dev/null)"
    dpkg-deb -f "$work/fetched/"libsystemd0_*.deb Version >"$work/fetched/root/version" || exit
    mkdir -p "${place%/*}"
    rm -rf "$place"
    mv "$work/fetched/root" "$place" || exit
fi
version=$(cat "$place/version")
[ "${version%%[!0-9]*}" -ge "$oldest" ] || missing "$version is what there is"
library=$(find "$place" -name libsystemd.so.0)
gcc -std=gnu17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -o "$work/service" \
    "${0%/*}/notify_libsystemd.c" -L"${library%/*}" -l:libsystemd.so.0 \
    -Wl,-rpath,"${library%/*}" || missing "it can't be linked"
if ldd "$work/service" | grep -qF "$library"; then
    passed
else
    failed "another library is loaded than $library"
fi

# sends LABEL CODE OUT PRINTED COMMAND...: what the service and the manager print
sends() {
    what=$1
    ends=$2
    printf '%s\n' "$3" >"$work/service.out"
    [ -z "$4" ] || printf '%s\n' "$4" | sed 's/^/sockrig: notify: /' >"$work/manager.out"
    [ -n "$4" ] || : >"$work/manager.out"
    shift 4
    expect "$what" "$ends" --verify --report="$work/report" "$@"
    grep '^sockrig: notify: ' "$err" >"$work/printed"
    for side in service manager; do
        got=$work/out
        [ $side = service ] || got=$work/printed
        if cmp -s "$work/$side.out" "$got"; then
            passed
        else
            failed "$what: of the $side (- wanted, + got)"
            diff -u "$work/$side.out" "$got" | head -n 20
        fi
    done
    says "$what" 'objects left: 0' "$work/report"
}

returned='sd_notify 1
sd_notifyf 1
sd_notify 1'
printed='STATUS=Starting
STATUS=Half
STATUS=2
READY=1
STATUS=Ready.'
set -- "$work/service" STATUS=Starting STATUS=Half 'READY=1
STATUS=Ready.'
for form in vsock vsock-stream vsock-seqpacket; do
    for cid in 2 3; do
        sends "$form from CID $cid" 0 "$returned" "$printed" --notify=$form --cid $cid "$@"
    done
done

# The fallback, in libsystemd's own words.
sends 'no datagrams' 0 "$returned" "$printed" --notify --policy vsock/dgram=ENODEV "$@"
sends 'no records' 0 "$returned" "$printed" --notify --policy vsock/dgram=ENODEV \
    --policy vsock/seqpacket=ESOCKTNOSUPPORT "$@"
denied='sd_notify -EACCES
sd_notifyf -EACCES
sd_notify -EACCES'
sends 'no fallback from EACCES' 1 "$denied" '' --notify --policy vsock/dgram=EACCES "$@"

# A barrier is a descriptor beside the message, which vsock drops: it passes at once.
sends 'barrier' 0 'sd_notify 1
sd_notify_barrier 1' 'READY=1
BARRIER=1' --notify=vsock-stream "$work/service" READY=1 barrier
sends 'no manager' 1 'sd_notify 0' '' "$work/service" READY=1
finish
