#!/bin/sh
# Collects in directory $1 the root file system of the edge image: Node, ONNX Runtime for this architecture, the shared
# libraries of both, one locale, and the users' names. Run in the image's build stage, in which npm has installed.
set -eu
root=$1
runtime=node_modules/onnxruntime-node
natives=bin/napi-v6/linux/$(node -p process.arch)

# Merged as Debian's own, so that the loader's absolute path holds.
mkdir -p "$root/usr/lib" "$root/usr/lib64" "$root/usr/local/bin" "$root/app/$runtime/$natives" "$root/var/cache" \
  "$root/var/lib/dpkg/status.d" "$root/etc" "$root/proc" "$root/sys" "$root/dev"
ln -s usr/lib usr/lib64 "$root/"

cp "$(command -v node)" "$root/usr/local/bin/node"
# What the service loads of the packages: not the other platforms' libraries (290 MB), nor the install script's helpers.
cp "$runtime/$natives"/* "$root/app/$runtime/$natives/"
cp -r "$runtime/package.json" "$runtime/dist" "$root/app/$runtime/"
mkdir -p "$root/app/node_modules/onnxruntime-common"
cp -r node_modules/onnxruntime-common/package.json node_modules/onnxruntime-common/dist "$root/app/node_modules/onnxruntime-common/"
find "$root/app" \( -name '*.map' -o -name '*.d.ts' \) -delete

# "libm.so.6 => /lib/x/libm.so.6 (0x...)", and the loader as "/lib64/ld-linux-x86-64.so.2 (0x...)".
libraries=$(ldd "$root/usr/local/bin/node" "$root/app/$runtime/$natives"/* | grep -o '/[^ ]* (0x' | cut -d' ' -f1 | sort -u)
for library in $libraries; do
  case $library in "$root"/*) continue ;; esac
  place=$(readlink -f "$(dirname "$library")")
  mkdir -p "$root$place"
  cp -L "$library" "$root$place/"
  package=$(dpkg-query --search "$(readlink -f "$library")" | cut -d: -f1)
  # Where scanners look for the packages of an image without a package manager, and the licence that goes with a copy.
  dpkg-query --status "$package" > "$root/var/lib/dpkg/status.d/$package"
  mkdir -p "$root/usr/share/doc/$package"
  cp -L "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/"
done

mkdir -p "$root/usr/lib/locale"
localedef --no-archive -i en_US -f UTF-8 "$root/usr/lib/locale/en_US.utf8"
grep -E '^(root|node):' /etc/passwd > "$root/etc/passwd"
grep -E '^(root|node):' /etc/group > "$root/etc/group"
cp -L /etc/os-release "$root/etc/"
echo 'hosts: files dns' > "$root/etc/nsswitch.conf"

mkdir /volume
# The same bytes from the same inputs: neither umask nor clock of the build is in the image.
chmod -R u=rwX,go=rX "$root" /volume
find "$root" /volume -exec touch --no-dereference --date=@0 {} +
