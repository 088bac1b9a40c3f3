/** Who a peer is, on real sockets: other users, the dead, the forked, and many at once. */
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import { expect, test } from 'vitest'
import { SyscallFailure } from '../../src/linux/errno.js'
import { type Peer, peerOf } from '../../src/linux/peer.js'
import {
  Child,
  isRoot,
  LinuxCopy,
  openFds,
  preloaded,
  temporaryFolder,
  until,
} from '../native/children.js'

/** As the daemon does: Node's own stream server, its connections' descriptors read at accept. */
class Listener {
  readonly path = `${temporaryFolder()}/socket`
  readonly server: net.Server
  readonly sockets: net.Socket[] = []
  readonly peers: (Peer | SyscallFailure)[] = []

  constructor() {
    this.server = net.createServer((socket) => {
      socket.on('error', () => {})
      this.sockets.push(socket)
      this.peers.push(peerOf(fdOf(socket)))
    })
  }

  async listen(): Promise<this> {
    // Others may use it, whoever they are.
    fs.chmodSync(this.path.replace(/\/socket$/, ''), 0o755)
    this.server.listen({ path: this.path, readableAll: true, writableAll: true })
    await new Promise((resolve) => this.server.once('listening', resolve))
    return this
  }

  /** The peer of the connection, as it was read when that was accepted. */
  async accepted(index: number): Promise<Peer> {
    await until(() => this.peers.length > index)
    const peer = this.peers[index]
    if (peer === undefined || peer instanceof SyscallFailure) throw new Error(String(peer))
    return peer
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy()
    this.server.close()
  }
}

function fdOf(socket: net.Socket): number {
  return (socket as net.Socket & { readonly _handle: { readonly fd: number } })._handle.fd
}

const CONNECT = `
  client = socket.socket(socket.AF_UNIX)
  client.connect(sys.argv[1])
`

test('another user, with its groups', async (context) => {
  if (!isRoot) context.skip('only root can take the id of another user')
  const listener = await new Listener().listen()
  const groups = [3, 1001, ...Array.from({ length: 200 }, (_, index) => 5000 + index)]
  const child = Child.python(
    `
    os.setgroups([int(group) for group in sys.argv[2].split(',')])
    os.setgid(1002)
    os.setuid(1001)
    ${CONNECT.trim().replaceAll('\n  ', '\n    ')}
    os.set_inheritable(client.fileno(), True)
    os.execvp('sh', ['sh', '-c', 'echo now a shell; read line'])
  `,
    listener.path,
    groups.join(','),
  )
  const peer = await listener.accepted(0)
  expect(await child.line()).toBe('now a shell')
  expect(peer).toMatchObject({ pid: child.pid, uid: 1001, gid: 1002, groups })
  expect(peer.pidfd?.pid()).toBe(child.pid)
  expect(peer.pidfd?.ended()).toBe(false)
  peer.pidfd?.close()
  listener.close()
})

test('ourselves, with no group but those we have', async () => {
  const listener = await new Listener().listen()
  const client = net.connect(listener.path)
  const peer = await listener.accepted(0)
  expect(peer.pid).toBe(process.pid)
  expect(peer.uid).toBe(process.geteuid?.())
  expect(peer.gid).toBe(process.getegid?.())
  // Node's list has the effective group too.
  const others = new Set(process.getgroups?.())
  expect(peer.groups.filter((group) => !others.has(group))).toEqual([])
  peer.pidfd?.close()
  client.destroy()
  listener.close()
})

test('a peer that is dead and reaped when it is accepted', async () => {
  const listener = await new Listener().listen()
  // Within this call our event loop stands still: nothing is accepted before the child is reaped.
  const script =
    'import os, socket, sys; client = socket.socket(socket.AF_UNIX); ' +
    'client.connect(sys.argv[1]); print(os.getpid())'
  const pid = Number(execFileSync('python3', ['-c', script, listener.path]))
  await until(() => listener.peers.length > 0)
  const [peer] = listener.peers
  if (peer === undefined || peer instanceof SyscallFailure) {
    // Linux before 6.16 has no pidfd for it, and says so: the caller refuses the connection.
    expect(peer?.syscall).toBe('getsockopt(SO_PEERPIDFD)')
  } else {
    expect(peer.pid).toBe(pid)
    expect(peer.pidfd?.ended()).toBe(true)
    expect(peer.pidfd?.pid()).toBeUndefined()
    peer.pidfd?.close()
  }
  listener.close()
})

test('a forked child keeps the connection, and is not the peer', async () => {
  const listener = await new Listener().listen()
  const child = Child.python(
    `${CONNECT}
  forked = os.fork()
  if forked == 0:
    hear()
    client.send(b'still here')
    hear()
    os._exit(0)
  say(forked)
  signal.pause()
  `,
    listener.path,
  )
  const peer = await listener.accepted(0)
  const forked = Number(await child.line())
  const socket = listener.sockets[0]!
  let closed = false
  socket.once('close', () => {
    closed = true
  })
  expect(peer.pid).toBe(child.pid)
  const ended = new Promise<void>((resolve) => peer.pidfd?.onEnd(resolve))
  child.process.kill('SIGKILL')
  await ended
  expect(peer.pidfd?.ended()).toBe(true)
  expect(closed).toBe(false)
  const data = new Promise((resolve) => socket.once('data', resolve))
  child.tell('send')
  expect(String(await data)).toBe('still here')
  // The socket still names the one that connected.
  const again = peerOf(fdOf(socket))
  if (again instanceof SyscallFailure) throw new Error(again.toString())
  expect(again.pid).toBe(peer.pid)
  expect(again.pidfd?.inode).toBe(peer.pidfd?.inode)
  expect(fs.existsSync(`/proc/${forked}`)).toBe(true)
  again.pidfd?.close()
  peer.pidfd?.close()
  child.tell('end')
  await child.ended()
  listener.close()
})

test('what is no connected socket fails with the call and its errno', () => {
  const file = fs.openSync('/dev/null', 'r')
  expect(peerOf(file)).toEqual(new SyscallFailure('getsockopt(SO_PEERCRED)', 'ENOTSOCK'))
  fs.closeSync(file)
  expect(peerOf(file)).toEqual(new SyscallFailure('getsockopt(SO_PEERCRED)', 'EBADF'))
})

/** What SO_PEERPIDFD fails with on older kernels, and a security module's label (with its NUL). */
const SHIM = `
  #include <cerrno>
  #include <cstdlib>
  #include <cstring>
  #include <dlfcn.h>
  #include <sys/socket.h>
  extern "C" int getsockopt(int fd, int level, int name, void *value, socklen_t *size) {
    static const char label[] = "system_u:vm";
    const char *failure = getenv("PEERPIDFD_ERRNO");
    if (level == SOL_SOCKET && name == 77 && failure) { errno = atoi(failure); return -1; }
    if (level == SOL_SOCKET && name == SO_PEERSEC) {
      memcpy(value, label, sizeof label);
      *size = sizeof label;
      return 0;
    }
    using F = int (*)(int, int, int, void *, socklen_t *);
    return reinterpret_cast<F>(dlsym(RTLD_NEXT, "getsockopt"))(fd, level, name, value, size);
  }
`

test('a kernel without pidfds of peers, one without that of the dead, and a label', async () => {
  const body = `
    import { connect } from './src/linux/fd-connection.js'
    import { listen } from './src/linux/fd-socket.js'
    const server = listen(process.env.SIDE, 0o600, (connection) => {
      const { pid, label, pidfd, syscall, errno } = connection.peer()
      console.log(JSON.stringify({ ours: pid === process.pid, label, pidfd: pidfd?.inode, syscall, errno }))
      process.exit()
    })
    connect(process.env.SIDE)
  `
  const shim = preloaded(SHIM)
  const copy = new LinuxCopy()
  const told = async (env: Record<string, string>): Promise<unknown> => {
    const side = `${temporaryFolder()}/side`
    return JSON.parse(await copy.run(body, { env: { ...shim, SIDE: side, ...env } }).line())
  }
  const label = 'system_u:vm'
  expect(await told({})).toEqual({ ours: true, label, pidfd: expect.stringMatching(/^\d+$/) })
  const { ENOPROTOOPT, EINVAL } = os.constants.errno
  expect(await told({ PEERPIDFD_ERRNO: String(ENOPROTOOPT) })).toEqual({ ours: true, label })
  expect(await told({ PEERPIDFD_ERRNO: String(EINVAL) })).toEqual({
    ours: false,
    syscall: 'getsockopt(SO_PEERPIDFD)',
    errno: 'EINVAL',
  })
})

const TOTAL = 10_000
const BATCH = 1000

test(`${TOTAL} connections leave no descriptor open`, { timeout: 240_000 }, async () => {
  const listener = await new Listener().listen()
  const before = openFds()
  for (let done = 0; done < TOTAL; done += BATCH) {
    const child = Child.python(
      `
      clients = []
      for i in range(${BATCH}):
        client = socket.socket(socket.AF_UNIX)
        client.connect(sys.argv[1])
        clients.append(client)
      say('connected')
      hear()
    `,
      listener.path,
    )
    await until(() => listener.sockets.length === BATCH)
    let ended = 0
    const pidfds = listener.peers.splice(0).map((peer) => {
      if (peer instanceof SyscallFailure) throw new Error(peer.toString())
      expect(peer.pid).toBe(child.pid)
      peer.pidfd?.onEnd(() => ended++)
      return peer.pidfd
    })
    const sockets = listener.sockets.splice(0)
    const closed = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)))
    await child.kill()
    await until(() => ended === BATCH)
    for (const pidfd of pidfds) pidfd?.close()
    for (const socket of sockets) socket.destroy()
    await Promise.all(closed)
  }
  // A file that somebody else here reads for a moment is none of the connections'.
  await until(() => openFds() <= before)
  listener.close()
})
