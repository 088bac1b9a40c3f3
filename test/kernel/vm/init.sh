#!/bin/busybox sh
# /init of the guest: mounts, then the worker that vitest on the host drives, then the end of the
# machine. The worker's exit code goes to a file on the shared folder: without that file the run has
# failed, whatever else was seen. /guest.env says where things are.
export PATH=/usr/sbin:/usr/bin:/bin
/bin/busybox --install -s /bin
. /guest.env

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t cgroup2 cgroup /sys/fs/cgroup 2>/dev/null
mount -t debugfs debug /sys/kernel/debug 2>/dev/null
ip link set lo up

share() { # tag, where, options
  mkdir -p "$2"
  mount -t 9p -o "trans=virtio,version=9p2000.L,msize=524288,$3" "$1" "$2" ||
    echo "guest: the folder $2 cannot be mounted"
}
share usr /usr ro,cache=loose
[ -z "$NODE_HOME" ] || share node "$NODE_HOME" ro,cache=loose
share checkout "$CHECKOUT" ro,cache=loose
share out /out cache=none

# A port is opened once. Node gets pipes of it: a read of the port itself would keep one of its
# threads, and so the process, for ever. Until the host has connected the port reads as ended.
mkfifo /run/in /run/out
exec 6<>/dev/vport0p1
while :; do
  cat <&6
  sleep 0.1
done >/run/in &
cat </run/out >&6 &

read -r uptime _ </proc/uptime
echo "guest: Linux $(uname -r), up for $uptime s, starts the worker"
cd "$CHECKOUT"
"$NODE" test/kernel/vm/worker.mjs 3</run/in 4>/run/out 5>&1
code=$?
read -r uptime _ </proc/uptime
echo "guest: the worker ended with exit code $code after $uptime s"
echo "$code" >/out/exit-code
sync
poweroff -f
