#!/usr/bin/env bash
# Installs what the tests need beside npm's packages: Chromium (which brings SwiftShader) and Mesa's software Vulkan driver,
# new enough for Dawn. Does nothing when all of it works already; needs root or passwordless sudo only to install.
set -u
cd "$(dirname "$0")/../.." || exit 1

node tools/setup/check.mjs && exit 0

distribution=$(. /etc/os-release 2>/dev/null && echo "${ID:-} ${VERSION_CODENAME:-}")
target=()
[ "$distribution" = 'debian bookworm' ] && target=(-t bookworm-backports)
install=(apt-get install -y --no-install-recommends "${target[@]}" chromium mesa-vulkan-drivers libvulkan1)

explain() {
  echo "$1" >&2
  echo 'The tests need Chromium, its SwiftShader (vk_swiftshader_icd.json) and Mesa lavapipe 24 or newer (lvp_icd.json).' >&2
  echo "On Debian: ${install[*]} (on Debian 12 with bookworm-backports among the sources)." >&2
  echo 'Elsewhere, name what you have: CHROMIUM=/path/to/chromium LAVAPIPE_ICD=/path/to/lvp_icd.json' >&2
  echo 'SWIFTSHADER_ICD=/path/to/vk_swiftshader_icd.json npm test' >&2
  exit 1
}

command -v apt-get >/dev/null || explain 'This is no Debian-like system, so nothing was installed.'
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  sudo -n true 2>/dev/null || explain 'Installing needs root, and sudo asks for a password, so nothing was installed.'
  as_root=(sudo -n)
fi

if [ "$distribution" = 'debian bookworm' ] && ! grep -rqs bookworm-backports /etc/apt/sources.list /etc/apt/sources.list.d; then
  echo 'deb http://deb.debian.org/debian bookworm-backports main' |
    "${as_root[@]}" tee /etc/apt/sources.list.d/bookworm-backports.list >/dev/null
fi
# Another source that does not answer must not stop us: the install says whether ours did.
"${as_root[@]}" apt-get update -qq || echo 'apt-get update complained; going on.' >&2
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive "${install[@]}" || explain 'apt-get could not install the packages.'
node tools/setup/check.mjs || explain 'The packages are installed, but something still does not work.'
