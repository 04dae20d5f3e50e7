# What a script made by snapmerge stands on.  Needs a Linux with device-mapper's snapshot targets (modprobe
# dm-snapshot), dmsetup, losetup and blkdiscard, and of the GNU coreutils dd, od, sha256sum, stat, sync and truncate.
#
# Standard output is a trace: every step with what was seen.  Where that is not what the script expects, a comment
# says so, and the script ends with 1.  0: all as expected; 2: it could not run.

set -u
export LC_ALL=C DM_DISABLE_UDEV=1

if [ "$(id -u)" != 0 ]; then
    echo "$0: device-mapper is for root only: run it with sudo" >&2
    exit 2
fi
for tool in dmsetup losetup blockdev blkdiscard dd od awk sed sha256sum stat sync truncate; do
    if ! command -v "$tool" >/dev/null; then
        echo "$0: $tool is missing" >&2
        exit 2
    fi
done
if ! dmsetup ls >/dev/null; then
    echo "$0: this kernel has no device-mapper; modprobe dm-mod may bring it" >&2
    exit 2
fi

prefix=snapmerge-$$-  # only devices whose names begin so are ever touched
dir=$(mktemp -d "${TMPDIR:-/tmp}/snapmerge.XXXXXX") || exit 2
dev=$dir/dev          # a link for every disk and device, by its name in the trace
job=now               # the operation that is under way: now, or the key of one that was started
differing=0
mkdir "$dev"

# --- the end -----------------------------------------------------------------------------------------------------

ours() {
    dmsetup ls 2>/dev/null | awk -v prefix="$prefix" 'index($1, prefix) == 1 { print $1 }'
}

# Everything that hangs in a suspended device ends with an error, so that the device can be removed.
unblock() {
    for name in $(ours); do
        if [ "$(dmsetup info -c --noheadings -o suspended "$name" 2>/dev/null)" = Suspended ]; then
            echo "0 8 error" | dmsetup load "$name" && dmsetup resume "$name"
        fi
    done
}

# A device that another one uses waits for the next pass.
remove_all() {
    unblock
    for pass in 1 2 3 4 5 6 7 8; do
        rm -f "$dir"/*.finished
        for name in $(ours); do
            dmsetup remove "$name"
        done
        [ -z "$(ours)" ] && break
        sleep 0.2
    done
    for loop in "$dir"/*.loop; do
        [ -e "$loop" ] && losetup -d "$(cat "$loop")"
    done
    rm -rf "${dir:?}"/* && mkdir "$dev"
}

clean_up() {
    trap - EXIT INT TERM HUP QUIT
    trap '' PIPE
    remove_all >/dev/null 2>&1
    rm -rf "$dir"
    [ -z "$(ours)" ] || echo "$0: these could not be removed: $(ours)" >&2
}

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
trap 'exit 131' QUIT
trap 'exit 141' PIPE # whoever read the output has gone

# --- a step ------------------------------------------------------------------------------------------------------

# step LINE EXPECTED FUNCTION [ARGUMENT ...]: does it, prints the line with what was seen.  EXPECTED may be empty.
step() {
    line=$1 expected=$2
    shift 2
    seen=$("$@")
    printf '%s -> %s\n' "$line" "$seen"
    case $expected in
    '' | "$seen") return ;;
    'error ENODEV' | 'error ENOENT') # by the kernel's age
        case $seen in 'error ENODEV' | 'error ENOENT') return ;; esac ;;
    esac
    printf '# DIFFERS: expected %s\n' "$expected"
    differing=$((differing + 1))
}

# try COMMAND [ARGUMENT ...]: ok, or the error's name as the command's message has it.  Its output goes to $dir/$job.out.
try() {
    if "$@" >"$dir/$job.out" 2>"$dir/$job.err"; then
        echo ok
        return
    fi
    awk 'BEGIN {
        split("EIO|Input/output error|ENXIO|No such device or address|ENXIO|does not exist|ENODEV|No such device|" \
            "EBUSY|Device or resource busy|EEXIST|File exists|ENOENT|No such file or directory|EINVAL|Invalid argument|" \
            "ENOSPC|No space left on device|EOPNOTSUPP|Operation not supported|ENOMEM|Cannot allocate memory|" \
            "EACCES|Permission denied|ENXIO|not found", known, "|")
    }
    { text = text " " $0 }
    END {
        for (i = 1; i in known; i += 2)
            if (index(text, known[i + 1])) { print "error " known[i]; exit }
        print "error E0"
        print text > "/dev/stderr"
    }' "$dir/$job.err"
    return 1
}

# --- payload -----------------------------------------------------------------------------------------------------

# payload TAG COUNT: sector k holds TAG + k as 32 bits, little-endian, 128 times over.
payload() {
    awk -v tag="$1" -v count="$2" 'BEGIN {
        for (k = 0; k < count; k++) {
            word = sector = ""
            value = tag + k
            for (b = 0; b < 4; b++) { word = word sprintf("\\%03o", value % 256); value = int(value / 256) }
            for (i = 0; i < 128; i++) sector = sector word
            print sector
        }
    }' | while read -r sector; do printf "$sector"; done
}

# seen_sectors FILE: what its sectors hold, run-length coded: #TAG, #TAGxN (equal), #TAG+N (ascending), ~DIGEST.
seen_sectors() {
    od -An -v -tu1 "$1" | awk '{
        for (i = 1; i <= 16; i += 4) {
            word = $i + 256 * $(i + 1) + 65536 * $(i + 2) + 16777216 * $(i + 3)
            if (n++ == 0) { first = word; same = 1 } else if (word != first) same = 0
        }
        if (n == 128) { print same ? sprintf("%.0f", first) : "~"; n = 0 }
    }' >"$1.tags"
    sector=0
    while read -r tag; do
        if [ "$tag" = "~" ]; then
            tag="~$(dd if="$1" bs=512 skip="$sector" count=1 2>/dev/null | sha256sum | cut -c1-16)"
        fi
        echo "$tag"
        sector=$((sector + 1))
    done <"$1.tags" | awk '
    function flush_run() {
        if (n) { printf "%s%s%s", blank, (digest ? first : "#" sprintf("%.0f", first)), (n > 1 ? mode n : ""); blank = " " }
    }
    {
        is_digest = substr($1, 1, 1) == "~"
        if (n && is_digest == digest && mode != "+" && $1 "" == first "") { n++; mode = "x"; next }
        if (n && !is_digest && !digest && mode != "x" && $1 + 0 == first + n) { n++; mode = "+"; next }
        flush_run(); first = $1; n = 1; mode = ""; digest = is_digest
    }
    END { flush_run() }'
}

# --- disks -------------------------------------------------------------------------------------------------------

# disk NAME SECTORS [faulty]: a loop device; one that will be faulty lies under a mapping that can be reloaded.
disk() {
    truncate -s $(($2 * 512)) "$dir/$1.img" || return
    losetup --find --show "$dir/$1.img" >"$dir/$1.loop" || return
    ln -s "$(cat "$dir/$1.loop")" "$dev/$1"
    if [ $# = 3 ]; then
        echo "$2" >"$dir/$1.size"
        : >"$dir/$1.faults"
        dmsetup create "${prefix}disk-$1" --table "0 $2 linear $(cat "$dir/$1.loop") 0" || return
        ln -sfn "/dev/mapper/${prefix}disk-$1" "$dev/$1"
    fi
    echo ok
}

# fault NAME SECTOR COUNT: from now on what touches these sectors fails, reads and writes alike.
fault() {
    echo "$2 $3" >>"$dir/$1.faults"
    remap "$1"
}

heal() {
    : >"$dir/$1.faults"
    remap "$1"
}

remap() {
    sort -n "$dir/$1.faults" | awk -v loop="$(cat "$dir/$1.loop")" -v size="$(cat "$dir/$1.size")" '
    BEGIN { at = 0 }
    function linear(end) { if (end > at) print at, end - at, "linear", loop, at }
    $1 + $2 > at {
        linear($1)
        start = $1 > at ? $1 : at
        print start, $1 + $2 - start, "error"
        at = $1 + $2
    }
    END { linear(size) }' >"$dir/$1.table"
    try dmsetup load "${prefix}disk-$1" "$dir/$1.table" >/dev/null && try dmsetup resume "${prefix}disk-$1"
}

reset() {
    remove_all >/dev/null 2>&1
    echo ok
}

# --- devices -----------------------------------------------------------------------------------------------------

create() {
    seen=$(try dmsetup create "$prefix$1" --notable) || { printf '%s\n' "$seen"; return; }
    ln -sfn "/dev/mapper/$prefix$1" "$dev/$1"
    if [ $# = 2 ]; then
        seen=$(load "$1" "$2")
        [ "$seen" = ok ] && seen=$(resume "$1")
        [ "$seen" = ok ] || remove "$1" >/dev/null
    fi
    printf '%s\n' "$seen"
}

load() {
    printf '%s\n' "$2" | tr ';' '\n' >"$dir/$job.table"
    try dmsetup load "$prefix$1" "$dir/$job.table"
}

clear() {
    try dmsetup clear "$prefix$1"
}

resume() {
    try dmsetup resume "$prefix$1"
}

suspend() {
    name=$prefix$1
    shift
    try dmsetup suspend "$@" "$name"
}

remove() {
    try dmsetup remove --retry "$prefix$1" && rm -f "$dev/$1"
}

message() {
    try dmsetup message "$prefix$1" 0 "$2"
}

# The kernel's lines as one, with names for device numbers.
kernel_line() {
    for link in "$dev"/*; do
        number=$(stat -L -c '%t %T' "$link" 2>/dev/null) || continue
        printf 's/ %d:%d / %s /g; s/ %d:%d$/ %s/\n' \
            "0x${number% *}" "0x${number#* }" "${link##*/}" "0x${number% *}" "0x${number#* }" "${link##*/}"
    done >"$dir/$job.names"
    sed -f "$dir/$job.names" "$dir/$job.out" | awk '
        { sub(/ +$/, ""); gsub(/["\\]/, "\\\\&"); text = text (NR > 1 ? "; " : "") $0 }
        END { print "\"" text "\"" }'
}

status() {
    seen=$(try dmsetup status "$prefix$1") && kernel_line || printf '%s\n' "$seen"
}

table() {
    seen=$(try dmsetup table "$prefix$1") && kernel_line || printf '%s\n' "$seen"
}

events() {
    seen=$(try dmsetup info -c --noheadings -o events "$prefix$1") && awk '{ print $1 }' "$dir/$job.out" || printf '%s\n' "$seen"
}

# No event is raised when a merge ends: only its status tells, sectors allocated being those of metadata.
settle() {
    for poll in $(awk 'BEGIN { for (i = 0; i < 600; i++) print i }'); do
        seen=$(try dmsetup status "$prefix$1") || { printf '%s\n' "$seen"; return; }
        if ! awk '$3 == "snapshot-merge" && $4 ~ "/" { split($4, used, "/"); if (used[1] != $5) merging = 1 }
            END { exit !merging }' "$dir/$job.out"; then
            echo ok
            return
        fi
        if [ "$(dmsetup info -c --noheadings -o suspended "$prefix$1")" = Suspended ]; then
            echo blocked
            return
        fi
        sleep 0.1
    done
    echo 'died "hang: the merge has not ended after 60 s"'
}

# --- data --------------------------------------------------------------------------------------------------------

write() {
    payload "$4" "$3" >"$dir/$job.data"
    try dd if="$dir/$job.data" of="$dev/$1" bs=$(($3 * 512)) count=1 seek=$(($2 * 512)) \
        oflag=direct,seek_bytes iflag=fullblock conv=notrunc
}

# fetch NAME SECTOR COUNT: reads into $dir/$job.data.
fetch() {
    try dd if="$dev/$1" of="$dir/$job.data" bs=$(($3 * 512)) count=1 skip=$(($2 * 512)) iflag=direct,skip_bytes,fullblock
}

read_sectors() {
    seen=$(fetch "$@") && seen_sectors "$dir/$job.data" || printf '%s\n' "$seen"
}

flush() {
    try sync "$dev/$1"
}

discard() {
    try blkdiscard -f -o $(($2 * 512)) -l $(($3 * 512)) "$dev/$1"
}

# le FILE OFFSET BYTES COUNT: that many little-endian numbers of so many bytes each, as far as awk's numbers reach.
le() {
    od -An -v -tu1 -j "$2" -N $(($3 * $4)) "$1" | awk -v bytes="$3" '{
        for (i = 1; i <= NF; i++) {
            if (n % bytes == 0) { value = 0; scale = 1 }
            value += $i * scale; scale *= 256
            if (++n % bytes == 0) printf "%.0f\n", value
        }
    }'
}

# The header "SnAp", valid, version, chunk size; then areas of records (old chunk, new chunk), the first in chunk 1, each behind
# the chunks of the one before; the first record with new = 0 ends them.
metadata() {
    seen=$(fetch "$1" 0 1) || { printf '%s\n' "$seen"; return; }
    set -- "$1" $(le "$dir/$job.data" 0 4 4)
    case $2 in
    0) echo new; return ;;
    1883336275) ;;
    *) echo foreign; return ;;
    esac
    chunk=$5 at=$5 records=
    size=$(awk -v bytes="$(blockdev --getsize64 "$dev/$1")" 'BEGIN { print int(bytes / 512) }')
    while [ "$chunk" -gt 0 ] && [ $((at + chunk)) -le "$size" ] && fetch "$1" "$at" "$chunk" >/dev/null; do
        le "$dir/$job.data" 0 8 $((chunk * 64)) | awk '
            NR % 2 { old = $1; next }
            $1 == 0 { exit }
            { printf " %s>%s", old, $1 }' >"$dir/$job.records"
        records=$records$(cat "$dir/$job.records")
        [ "$(wc -w <"$dir/$job.records")" -lt $((chunk * 32)) ] && break
        at=$((at + (chunk * 32 + 1) * chunk))
    done
    echo "store valid=$3 version=$4 chunk_size=$5$records"
}

# --- what may block ----------------------------------------------------------------------------------------------

# start KEY FUNCTION [ARGUMENT ...]: in the background; what comes of it goes to a file.  I/O has its device open until
# that file is gone.
start() {
    job=$1 held=/dev/null
    shift
    case $1 in write | read_sectors | flush | discard) held=$dev/$2 ;; esac
    {
        "$@" >"$dir/$job.seen"
        mv "$dir/$job.seen" "$dir/$job.finished"
        while [ -e "$dir/$job.finished" ]; do sleep 0.05; done
    } 3<"$held" </dev/null >/dev/null 2>&1 &
    sleep 0.2 # for it to get as far as it can
    echo ok
}

finish() {
    for poll in 1 2 3 4 5 6 7 8 9 10; do
        if [ -e "$dir/$1.finished" ]; then
            cat "$dir/$1.finished"
            rm "$dir/$1.finished"
            return
        fi
        sleep 0.1
    done
    echo blocked
}

# --- the trace ---------------------------------------------------------------------------------------------------
