#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# arm64.sh: makes what a cross build for arm64 needs, once per list of packages:
#   a sysroot (Debian's arm64 packages unpacked, nothing of them run) and a Meson cross file.
# Prints the path of the cross file as its last line. The sysroot is kept in /var/cache/cairn (root)
# or in .build; delete it to make it anew. Co-installing arm64 packages on the host is no way:
# libdpdk-dev:arm64 would remove the host's own.
set -eu

packages=libc6-dev,libstdc++-12-dev,libdpdk-dev,liburing-dev,libnuma-dev,libbsd-dev,libbpf-dev
packages+=,libxdp-dev,libcmocka-dev,libjansson-dev,libmicrohttpd-dev,libcurl4-openssl-dev
packages+=,libsmartcols-dev,libbenchmark-dev

root=$(cd "$(dirname "$0")/../.." && pwd)
cache=${CAIRN_CACHE:-/var/cache/cairn}
mkdir -p "$cache" 2>/dev/null || true
[ -w "$cache" ] || cache=$root/.build
mkdir -p "$cache"
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
key=$(echo "1 $codename $packages" | sha256sum | cut -c1-12)
sysroot=$cache/arm64-$codename-$key
partial=$sysroot.partial.$$

# The host's own Debian sources, in either of apt's two forms.
debian_sources() {
	local file
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list \
		/etc/apt/sources.list.d/*.sources; do
		[ -r "$file" ] && grep -Eq "$codename" "$file" &&
			grep -Eq '^(deb|URIs:).*/debian' "$file" && echo "$file"
	done
	return 0
}

make_sysroot() {
	local sources
	trap 'rm -rf "$partial"' EXIT
	sources=$(debian_sources)
	if [ -z "$sources" ]; then
		echo "arm64.sh: no Debian $codename source in /etc/apt; add one there" >&2
		exit 1
	fi
	# shellcheck disable=SC2086
	mmdebstrap --quiet --arch=arm64 --variant=extract --include="$packages" \
		"$codename" "$partial" $sources >&2
	# Absolute links would lead to the host's libraries.
	find "$partial" -type l -lname '/*' | while read -r link; do
		ln -snfr "$partial$(readlink "$link")" "$link"
	done
	rm -rf "$partial/dev" "$partial/usr/share/doc" "$partial/usr/share/locale" \
		"$partial/var/cache" "$partial/var/lib/apt"
	mv "$partial" "$sysroot" 2>/dev/null || [ -d "$sysroot" ]
}

[ -d "$sysroot" ] || make_sysroot

mkdir -p "$root/.build"
cross=$root/.build/arm64.cross
cat > "$cross.$$" <<END
[constants]
sysroot = '$sysroot'
[binaries]
c = ['aarch64-linux-gnu-gcc', '--sysroot=' + sysroot]
cpp = ['aarch64-linux-gnu-g++', '--sysroot=' + sysroot]
ar = 'aarch64-linux-gnu-ar'
strip = 'aarch64-linux-gnu-strip'
pkgconfig = 'pkg-config'
exe_wrapper = ['qemu-aarch64-static', '-L', sysroot]
[properties]
sys_root = sysroot
pkg_config_libdir = [sysroot + '/usr/lib/aarch64-linux-gnu/pkgconfig',
  sysroot + '/usr/share/pkgconfig']
[host_machine]
system = 'linux'
cpu_family = 'aarch64'
cpu = 'armv8-a'
endian = 'little'
END
mv "$cross.$$" "$cross"
echo "$cross"
