# Two machines with a cable between them, as network namespaces that vanish with their processes:
#   unshare -n sh network.sh FAR-COMMAND... -- NEAR-COMMAND...
# Ours is 192.0.2.1 and 2001:db8::1; the far one, whose pid is in $FAR, has ...2. At ...8 and ...9
# lives nobody: what is sent there is lost without a word. A network where a prefix is missing has no
# route to it.
set -eu
PATH=$PATH:/usr/sbin:/sbin

far_command=
while [ "$1" != -- ]; do
    far_command="$far_command '$1'"
    shift
done
shift

ip link set lo up
ip link add near type veth peer name far
unshare -n sh -c 'echo ready; exec sleep 60' >"$SCRATCH/far" &
FAR=$!
trap 'kill $FAR $server 2>/dev/null || true; wait' EXIT
server=
until [ -s "$SCRATCH/far" ]; do sleep 0.02; done
export FAR

far() {
    nsenter -t "$FAR" -n "$@"
}

ip link set far netns "$FAR"
ip addr add 192.0.2.1/24 dev near
ip addr add 2001:db8::1/64 dev near nodad
ip addr add fe80::1/64 dev near nodad
ip link set near up
far ip link set lo up
far ip addr add 192.0.2.2/24 dev far
far ip addr add 2001:db8::2/64 dev far nodad
far ip addr add fe80::2/64 dev far nodad
far ip link set far up
for nobody in 192.0.2.8 192.0.2.9 2001:db8::8 2001:db8::9; do
    ip neigh add $nobody lladdr 02:00:00:00:00:09 dev near nud permanent
done

: >"$SCRATCH/server"
eval "nsenter -t $FAR -n $far_command >'$SCRATCH/server' 2>&1 &"
server=$!
until grep -q ready "$SCRATCH/server"; do
    kill -0 $server || { cat "$SCRATCH/server" >&2; exit 1; }
    sleep 0.02
done
"$@"
