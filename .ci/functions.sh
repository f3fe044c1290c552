# shellcheck shell=bash
# What .ci/run and .ci/on share; to be sourced, in the root of the tree, by bash with errexit. Sets `work` and `root`.

export CI=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
# Tests start hundreds of interpreters: without files of bytecode each would compile the whole package again.
unset HTTPX_FAST_IMPL PYTHONPATH PYTHONDONTWRITEBYTECODE

work=$(mktemp -d)
root=${HTTPX_FAST_CI_ROOT:-/var/cache/httpx-fast-ci/forky}
chmod 755 "$work"  # nginx's workers may be somebody else

quietly() {  # shows what a command printed only when it fails
    local log
    log=$(mktemp -p "$work")
    "$@" >"$log" 2>&1 || { cat "$log"; return 1; }
}

# The tree as it would be checked out, so that nothing that lies about here takes part; taken once, for all steps.
take_tree() {
    mkdir "$work/checkout"
    if git rev-parse --git-dir >/dev/null 2>&1; then
        git ls-files -z | xargs -0 cp --parents -t "$work/checkout"
    else
        tar -c --exclude=.venv --exclude='*.so' --exclude=build --exclude=dist . | tar -x -C "$work/checkout"
    fi
}

copy_tree() {
    mkdir -p "${1%/*}"
    cp -r "$work/checkout" "$1"
}

# The commands that README.md opens with: the first shows a request's way, the second runs the tests.
readme_command() {
    sed -n '/^python3 -m venv/p' "$work/checkout/README.md" | sed -n "$1p"
}

# A folder in which `python3` is the interpreter $1.
as_python3() {
    mkdir -p "$2"
    printf '#!/bin/sh\nexec %s "$@"\n' "$1" >"$2/python3"
    chmod +x "$2/python3"
}

has_headers() {
    "$1" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'
}

newest_python() {
    local each
    for each in python3.13 "$HOME"/.pyenv/versions/3.13*/bin/python python3.12 python3.11 python3; do
        if "$each" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            "$each" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    echo "no Python from 3.11 on with venv was found" >&2
    return 1
}

# Debian's next release with its interpreters; says why not where it cannot be had.
unpack_next_release() (
    [ "$(id -u)" = 0 ] || { echo "needs root"; exit 1; }
    mkdir -p "$root"
    exec 9>"$root.lock"
    flock 9
    if [ ! -e "$root.complete" ]; then
        rm -rf "$root"
        mkdir -p "$root"
        # Older debootstraps do not know the name; all of them know its rules by "sid".
        debootstrap --variant=minbase --include=ca-certificates,openssl forky "$root" \
            http://deb.debian.org/debian /usr/share/debootstrap/scripts/sid || exit 1
        DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 chroot "$root" apt-get install -y --no-install-recommends \
            gcc libc6-dev nginx libnginx-mod-http-echo nghttp2-server apache2 \
            pypy3 pypy3-venv python3.14-dev python3.14-venv python3.15-dev python3.15-venv || exit 1
        touch "$root.complete"
    fi
    # The network as it is reached from outside: names, authorities, package index.
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
    for file in /etc/pip.conf /etc/ssl/certs/ca-certificates.crt "${PIP_CERT:-}" "${SSL_CERT_FILE:-}"; do
        [ ! -f "$file" ] || { mkdir -p "$root${file%/*}" && cp -L "$file" "$root$file"; }
    done
)

# Builds an interpreter of the kind $1 there, where it has not been built yet: see .ci/build_python.
build_python() {
    cp .ci/build_python "$root/srv/"
    quietly chroot "$root" /srv/build_python "$1"
}

# Makes a folder in the root of the next release, with the tree in it, that no other run shares; sets `inside` to its
# path there. The name is short, since those of Unix sockets have to be.
make_inside() {
    inside=$(mktemp -d "$root/srv/XXXX")
    echo "$inside" >>"$work/insides"
    chmod 755 "$inside"
    copy_tree "$inside/tree"
    mkdir -m 755 "$inside/t"
    inside=${inside#"$root"}
}

clean_up() {
    [ ! -e "$work/insides" ] || xargs rm -rf <"$work/insides"
    rm -rf "$work"
}

# Runs a command line in the root of the next release, in the folder $1 there; mounts of a namespace of its own end
# with it. /dev/shm is there for servers that share memory between processes (squid), and change to another user.
in_next_release() {
    # shellcheck disable=SC2016  # expanded by the inner shell
    unshare --mount sh -c 'mount -t proc proc "$1/proc" && mount --bind /dev/pts "$1/dev/pts" \
        && mount -t tmpfs -o mode=1777 tmpfs "$1/dev/shm" && exec \
        chroot "$1" env HOME=/root TMPDIR="$2/t" PATH="$2/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
        sh -c "cd $2/tree && $3"' sh "$root" "$1" "$2"
}

# README's second command with the interpreter $1 of the next release; $2 are the arguments of Python, as one word, in
# place of "-m pytest". The interpreter takes the kernel that it takes by itself.
test_on_next_release() {
    local inside command
    make_inside
    as_python3 "$1" "$root$inside/bin"
    command=$(readme_command 2)
    in_next_release "$inside" "${command% -m pytest} $2"
}
