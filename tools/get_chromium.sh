#!/bin/sh
# Make sure that there is a Chromium for the browser tests: take the one at hand, else install Debian's or Ubuntu's.
set -eu
for name in "${PATCHSEEK_CHROMIUM:-chromium}" chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo -n"
if command -v apt-get >/dev/null 2>&1 && { [ -z "$as_root" ] || $as_root true 2>/dev/null; }; then
    $as_root apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends chromium >/dev/null
    exit 0
fi
echo "The browser tests need Chromium: install it (apt-get install chromium, brew install chromium)," >&2
echo "or name the program of one in PATCHSEEK_CHROMIUM." >&2
exit 1
