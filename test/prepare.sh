#!/bin/sh
# Installs missing programs that the tests need, if root runs it on Debian. Elsewhere it lists them; suites that cannot run print NOT RUN and the reason.
PATH=$PATH:/usr/sbin:/usr/local/sbin
missing=""
need() { # program package
  command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need nats-server nats-server
need python3 python3
python3 -c "import ensurepip" 2>/dev/null || missing="$missing python3-venv"
need ss iproute2
need ps procps
need slapd slapd
need ldapmodify ldap-utils
need openssl openssl
need unshare util-linux
if [ "$(uname)" = Linux ] && [ "$(id -u)" = 0 ]; then
  need dockerd docker.io
  [ -e /bin/busybox ] || missing="$missing busybox-static"
  need iptables iptables
fi
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "missing packages for some tests:$missing" >&2
  exit 0
fi
echo "installing$missing"
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
# shellcheck disable=SC2086
apt-get install -qq -y --no-install-recommends $missing >/dev/null 2>&1 || {
  apt-get update -qq && apt-get install -qq -y --no-install-recommends $missing >/dev/null
}
