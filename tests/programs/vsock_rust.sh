#!/bin/sh
# vsock_rust.sh - Rust programs over Debian's crates nix, socket2 and rustix (its libc backend) use
# AF_VSOCK: create, bind, listen, accept, connect, addresses read back; and with --net=sud those
# over rustix's default backend, which makes its system calls by hand, AF_VSOCK and AF_UNIX
. "${0%/*}/compare.inc"
. "${0%/*}/vsock.inc"

# Debian's own cargo and rustc, with no network and none of the user's settings. The sources are
# copied: cargo writes its lock file beside them.
mkdir "$work/cargo"
cat >"$work/cargo/config.toml" <<'END_OF_CONFIG'
[source.crates-io]
replace-with = "debian"
[source.debian]
directory = "/usr/share/cargo/registry"
END_OF_CONFIG
cp -R "${0%/*}/rust" "${0%/*}/rust_raw" "$work/"
for package in rust rust_raw; do
    if ! (cd "$work/$package" && env -u RUSTFLAGS PATH=/usr/bin:/bin CARGO_HOME="$work/cargo" \
        CARGO_TARGET_DIR="$work/target" cargo build --offline --quiet 2>"$err"); then
        failed "the programs of $package are not built"
        cat "$err"
        finish
    fi
done
bin=$work/target/debug

cat >"$work/wanted" <<'END_OF_OUTPUT'
bound to any cid: true
a port was chosen: true
accepted on cid 1
accepted from cid 1
client's own cid 0xffffffff
client's peer true
one port: true
accepted on cid 2
accepted from cid 1
client's own cid 0xffffffff
client's peer true
one port: true
taken: Err(EADDRINUSE)
foreign: Err(EADDRNOTAVAIL)
not listening: Err(EINVAL)
unconnected: Err(ENOTCONN)
shutdown: Err(ENOTCONN)
nobody: Err(ECONNRESET)
free again: Ok(())
datagrams: Err(EOPNOTSUPP)
END_OF_OUTPUT
session 'nix, threads' "$bin/vsock_nix"

cat >"$work/wanted" <<'END_OF_OUTPUT'
bound to any cid: true
accepted from cid 1, one port: true
accepted from cid 1, one port: true
connected in time, pending error: None
WouldBlock, in time: true
no other client: WouldBlock
nobody: ConnectionReset
packets of [1, 1000, 50]
END_OF_OUTPUT
session 'socket2, threads' "$bin/vsock_socket2"

# The server's first line is what the client waits for.
for name in nix socket2; do
    printf 'talked\nserved\n' >"$work/wanted"
    session "$name, processes" sh -c \
        '"$1" server 7001 | { read -r line && "$1" client 7001 && cat; }' sh "$bin/vsock_$name"
done

printf 'received 12 bytes: Hello vsock!\nthe client reads 0 more\n' >"$work/wanted"
session 'rustix' "$bin/vsock_rustix"

# The same source. Without sud its sockets are the kernel's, which the guard denies.
SOCKRIG_OPTIONS=net=sud
export SOCKRIG_OPTIONS
session 'rustix, calls by hand' "$bin/raw_vsock"
"$bin/raw_unix" >"$work/wanted" 2>"$err" || failed 'raw_unix fails natively'
session 'rustix, calls by hand, AF_UNIX' "$bin/raw_unix"
unset SOCKRIG_OPTIONS
expect 'not seen without' 1 "$bin/raw_vsock"
expect 'audited' 0 --audit "$bin/raw_unix"
for call in pipe socketpair sendto poll socket bind connect accept read write shutdown close; do
    grep -Eq "^  $call ×[0-9]+   raw_unix\[[0-9]+\] raw_unix\+0x" "$err" && passed ||
        failed "the audit doesn't list $call of raw_unix"
done

# docs/RUST.md shows just this program.
sed -n '/^```rust$/,/^```$/p' "${0%/*}/../../docs/RUST.md" | sed '/^```/d' >"$work/shown"
cmp -s "$work/shown" "${0%/*}/rust/src/bin/vsock_rustix.rs" && passed ||
    failed 'docs/RUST.md shows another program than rust/src/bin/vsock_rustix.rs'
finish
