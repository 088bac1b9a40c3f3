/** The side socket: what arrives on it, whole and cut, from senders of every kind. */
import fs from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { native } from '../../src/linux/addon.js'
import { SyscallFailure } from '../../src/linux/errno.js'
import {
  connect,
  DEFAULT_LIMITS,
  type FdConnection,
  type FdLimits,
  type FdMessage,
} from '../../src/linux/fd-connection.js'
import { type FdServer, listen } from '../../src/linux/fd-socket.js'
import { FdMisuse } from '../../src/linux/owned-fd.js'
import { Pidfd } from '../../src/linux/pidfd.js'
import { Child, LinuxCopy, openFds, temporaryFolder, turns, until } from '../native/children.js'

/** A server that keeps all it is given, and closes what is left at the end. */
class Side {
  readonly path = `${temporaryFolder()}/side`
  readonly connections: FdConnection[] = []
  readonly messages: FdMessage[] = []
  ends = 0
  readonly #server: FdServer

  constructor(limits: FdLimits = DEFAULT_LIMITS) {
    const server = listen(this.path, 0o600, (connection) => this.#take(connection), limits)
    if (server instanceof SyscallFailure) throw new Error(server.toString())
    this.#server = server
    onTestFinished(() => this.close())
  }

  #take(connection: FdConnection): void {
    this.connections.push(connection)
    connection.onClose(() => this.ends++)
    connection.onMessage((message) => this.messages.push(message))
  }

  async message(index = 0): Promise<FdMessage> {
    await until(() => this.messages.length > index)
    return this.messages[index]!
  }

  #open = true
  close(): void {
    if (!this.#open) return
    this.#open = false
    for (const connection of this.connections) if (connection.isOpen) connection.close()
    this.#server.close()
  }
}

function client(path: string): FdConnection {
  const connection = connect(path)
  if (connection instanceof SyscallFailure) throw new Error(connection.toString())
  onTestFinished(() => {
    if (connection.isOpen) connection.close()
  })
  return connection
}

function opened(count: number): readonly number[] {
  const fds = Array.from({ length: count }, () => fs.openSync('/dev/null', 'r'))
  onTestFinished(() => {
    for (const fd of fds) fs.closeSync(fd)
  })
  return fds
}

function open(pid: number): Pidfd {
  const pidfd = Pidfd.open(pid)
  if (pidfd instanceof SyscallFailure) throw new Error(pidfd.toString())
  return pidfd
}

describe('a message', () => {
  test.each([0, 1, 2, 253])('arrives with its %i descriptors', async (count) => {
    const side = new Side({ textBytes: 4096, fds: 253 })
    const fds = opened(count)
    const from = client(side.path)
    const before = openFds()
    expect(from.send('token \u00e9', fds)).toBeUndefined()
    const message = await side.message()
    expect(message.text).toBe('token \u00e9')
    expect(message.truncated).toBe(false)
    expect(message.fds.map((fd) => fd.kind())).toEqual(fds.map(() => 'character device'))
    // One more is our own end of the connection.
    expect(openFds()).toBe(before + count + 1)
    for (const fd of message.fds) fd.close()
    for (const fd of message.fds) expect(() => fd.close()).toThrow(FdMisuse)
    expect(openFds()).toBe(before + 1)
  })
  test('keeps its borders, also when many wait', async () => {
    const side = new Side()
    const from = client(side.path)
    const texts = Array.from({ length: 100 }, (_, index) => `message ${index}`)
    let sent = 0
    while (sent < texts.length) {
      if (from.send(texts[sent]!) === undefined) sent++
      else await turns(1)
    }
    await side.message(99)
    expect(side.messages.map(({ text }) => text)).toEqual(texts)
  })
  test('is answered', async () => {
    const side = new Side()
    const from = client(side.path)
    const answers: string[] = []
    from.onMessage(({ text }) => answers.push(text))
    from.send('ask')
    await side.message()
    expect(side.connections[0]?.send('answer')).toBeUndefined()
    await until(() => answers.length > 0)
    expect(answers).toEqual(['answer'])
  })
  test('of more descriptors than the limit is cut, and says so; none is lost track of', async () => {
    const side = new Side({ textBytes: 4096, fds: 3 })
    const from = client(side.path)
    const fds = opened(7)
    const before = openFds()
    from.send('token', fds)
    const message = await side.message()
    expect(message.truncated).toBe(true)
    expect(message.fds).toHaveLength(3)
    expect(openFds()).toBe(before + 1 + 3)
    for (const fd of message.fds) fd.close()
    from.send('next', fds.slice(0, 3))
    const next = await side.message(1)
    expect(next.truncated).toBe(false)
    expect(next.fds).toHaveLength(3)
    for (const fd of next.fds) fd.close()
  })
  test('with descriptors where none is taken is cut', async () => {
    const side = new Side({ textBytes: 4096, fds: 0 })
    const from = client(side.path)
    const [fd] = opened(1)
    const before = openFds()
    from.send('token', [fd!])
    expect(await side.message()).toEqual({
      text: 'token',
      fds: [],
      truncated: true,
      turnedAway: false,
    })
    expect(openFds()).toBe(before + 1)
  })
  test('longer than the limit is cut, and the next is whole', async () => {
    const side = new Side({ textBytes: 8, fds: 1 })
    const from = client(side.path)
    from.send('123456789')
    from.send('12345678')
    expect(await side.message(0)).toEqual({
      text: '12345678',
      fds: [],
      truncated: true,
      turnedAway: false,
    })
    expect(await side.message(1)).toEqual({
      text: '12345678',
      fds: [],
      truncated: false,
      turnedAway: false,
    })
  })
})

describe('the kind of a descriptor', () => {
  test('is told whatever the sender calls it', async () => {
    const side = new Side()
    const child = Child.python(
      `
      side = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
      side.connect(sys.argv[1])
      pidfd = os.pidfd_open(os.getpid())
      memfd = os.memfd_create('anon_inode:[pidfd]')
      file = os.open(sys.argv[2], os.O_RDONLY)
      directory = os.open('/', os.O_RDONLY)
      pipe = os.pipe()[0]
      bare = os.open('/proc/self/fd/%d' % pidfd, os.O_PATH)
      fds = [pidfd, memfd, file, side.fileno(), directory, os.open('/dev/null', 0), pipe, bare]
      rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))
      side.sendmsg([b'fds'], [rights])
      hear()
    `,
      side.path,
      process.execPath,
    )
    const { fds } = await side.message()
    expect(fds.map((fd) => fd.kind())).toEqual([
      'pidfd',
      'regular file',
      'regular file',
      'socket',
      'directory',
      'character device',
      'other',
      'other',
    ])
    for (const fd of fds.slice(1)) {
      expect(fd.takePidfd()).toBeUndefined()
      fd.close()
    }
    const pidfd = fds[0]?.takePidfd()
    expect(pidfd?.pid()).toBe(child.pid)
    expect(() => fds[0]?.close()).toThrow(FdMisuse)
    pidfd?.close()
  })
  test('of a pidfd for a thread is not that of one for a process', async (context) => {
    const side = new Side()
    const child = Child.python(
      `
      side = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
      side.connect(sys.argv[1])
      libc = ctypes.CDLL(None, use_errno=True)
      fd = libc.syscall(434, os.getpid(), os.O_EXCL)
      say(fd)
      if fd >= 0:
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [fd]))
        side.sendmsg([b'thread'], [rights])
      hear()
    `,
      side.path,
    )
    if ((await child.line()) === '-1') context.skip('the kernel has no PIDFD_THREAD (Linux 6.9)')
    const { fds } = await side.message()
    expect(fds[0]?.kind()).toBe('pidfd of a thread')
    expect(fds[0]?.takePidfd()).toBeUndefined()
    fds[0]?.close()
  })
})

describe('a received pidfd', () => {
  test('tells of the death of a process that its sender chose', async () => {
    const side = new Side()
    const child = Child.sleeper()
    const own = open(child.pid)
    const from = client(side.path)
    from.send('vm', [fdFor(child.pid)])
    const { fds } = await side.message()
    const received = fds[0]?.takePidfd()
    expect(received?.inode).toBe(own.inode)
    let calls = 0
    received?.onEnd(() => calls++)
    await child.kill()
    await until(() => calls > 0)
    expect(received?.ended()).toBe(true)
    received?.close()
    own.close()
  })
  test('that is closed calls no more, although the sender still holds it', async () => {
    const side = new Side()
    const child = Child.sleeper()
    const from = client(side.path)
    const kept = fdFor(child.pid)
    from.send('vm', [kept])
    const { fds } = await side.message()
    const received = fds[0]?.takePidfd()
    let calls = 0
    received?.onEnd(() => calls++)
    await turns()
    received?.close()
    await child.kill()
    await turns(20)
    expect(calls).toBe(0)
  })
})

/** A pidfd as a plain number, as a client has it. */
function fdFor(pid: number): number {
  const fd = native.pidfdOpen(pid)
  onTestFinished(() => fs.closeSync(fd))
  return fd
}

describe('a connection', () => {
  test('names its peer, and ends when that one closes', async () => {
    const side = new Side()
    const before = openFds()
    const child = Child.python(
      `
      side = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
      side.connect(sys.argv[1])
      side.send(b'here')
      hear()
    `,
      side.path,
    )
    await side.message()
    const peer = side.connections[0]?.peer()
    if (peer === undefined || peer instanceof SyscallFailure) throw new Error(String(peer))
    expect(peer.pid).toBe(child.pid)
    peer.pidfd?.close()
    child.tell('end')
    await until(() => side.ends > 0)
    await child.ended()
    expect(side.connections[0]?.isOpen).toBe(false)
    expect(() => side.connections[0]?.close()).toThrow(FdMisuse)
    // The child's pipes went with it.
    await until(() => openFds() === before)
  })
  test('ends at an empty message, whose descriptors are closed', async () => {
    const side = new Side()
    const from = client(side.path)
    await until(() => side.connections.length > 0)
    const fds = opened(2)
    const before = openFds()
    from.send('', fds)
    await until(() => side.ends > 0)
    expect(side.messages).toEqual([])
    await expect.poll(openFds).toBe(before - 1)
    expect(from.send('more')?.errno).toBe('EPIPE')
  })
  test('brings what was sent before the end, also when the sender never read', async () => {
    const side = new Side()
    const child = Child.python(
      `
      side = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
      side.connect(sys.argv[1])
      hear()
      for i in range(100):
        side.send(b'%d' % i)
    `,
      side.path,
    )
    await until(() => side.connections.length > 0)
    // Not read by the child: its end is then a reset.
    side.connections[0]?.send('unread')
    child.tell('go on')
    await until(() => side.ends > 0)
    expect(side.messages).toHaveLength(100)
  })
  test('that does not read is no reason to wait', async () => {
    const side = new Side()
    client(side.path)
    await until(() => side.connections.length > 0)
    let failure: SyscallFailure | undefined
    while (failure === undefined) failure = side.connections[0]?.send('x'.repeat(1000))
    expect(failure).toEqual(new SyscallFailure('sendmsg', 'EAGAIN'))
  })
  test('says nothing more once it is closed', async () => {
    const texts: string[] = []
    let ends = 0
    const path = `${temporaryFolder()}/side`
    const server = listen(path, 0o600, (connection) => {
      connection.onClose(() => ends++)
      connection.onMessage(({ text }) => {
        texts.push(text)
        connection.close()
        expect(() => connection.send('x')).toThrow(FdMisuse)
      })
    })
    const from = client(path)
    from.send('one')
    from.send('two')
    await until(() => ends > 0)
    await turns(20)
    expect([texts, ends]).toEqual([['one'], 1])
    if (!(server instanceof SyscallFailure)) server.close()
  })
})

function umask(): number {
  const status = fs.readFileSync('/proc/self/status', 'utf8')
  return Number.parseInt(/^Umask:\s*([0-7]+)$/m.exec(status)?.[1] ?? '', 8)
}

describe('the socket', () => {
  test('has its mode from the start, and the umask is as before', () => {
    const before = umask()
    for (const mode of [0o600, 0o660, 0o666]) {
      const path = `${temporaryFolder()}/side`
      const server = listen(path, mode, () => {})
      if (server instanceof SyscallFailure) throw new Error(server.toString())
      expect(fs.statSync(path).mode & 0o777).toBe(mode)
      expect(fs.statSync(path).isSocket()).toBe(true)
      server.close()
      expect(() => server.close()).toThrow(FdMisuse)
      expect(connect(path)).toEqual(new SyscallFailure('connect', 'ECONNREFUSED'))
    }
    expect(umask()).toBe(before)
  })
  test('is refused where it cannot be', () => {
    const side = new Side()
    const before = openFds()
    const long = `/${'x'.repeat(107)}`
    expect(listen(side.path, 0o600, () => {})).toEqual(new SyscallFailure('bind', 'EADDRINUSE'))
    expect(listen(long, 0o600, () => {})).toEqual(new SyscallFailure('bind', 'ENAMETOOLONG'))
    expect(listen('', 0o600, () => {})).toEqual(new SyscallFailure('bind', 'ENAMETOOLONG'))
    expect(listen('a\0b', 0o600, () => {})).toEqual(new SyscallFailure('bind', 'EINVAL'))
    expect(connect('/no/such/side')).toEqual(new SyscallFailure('connect', 'ENOENT'))
    expect(openFds()).toBe(before)
  })
  test('goes on when descriptors run out, and takes those who waited', async () => {
    const body = `
      import fs from 'node:fs'
      import { connect } from './src/linux/fd-connection.js'
      import { listen } from './src/linux/fd-socket.js'
      let taken = 0
      const server = listen(process.env.SIDE, 0o600, (connection) => {
        connection.close()
        taken++
      })
      const connections = [connect(process.env.SIDE), connect(process.env.SIDE)]
      const held = []
      try { while (true) held.push(fs.openSync('/dev/null')) } catch {}
      const [cpu, began] = [process.cpuUsage(), performance.now()]
      await new Promise((resolve) => setTimeout(resolve, 350))
      const spent = process.cpuUsage(cpu)
      const share = (spent.user + spent.system) / 1000 / (performance.now() - began)
      const before = taken
      for (const fd of held) fs.closeSync(fd)
      while (taken < 2) await new Promise((resolve) => setTimeout(resolve, 10))
      console.log(JSON.stringify({ before, taken, turning: share > 0.5 }))
      server.close()
      for (const connection of connections) connection.close()
    `
    const before = ['sh', '-c', 'ulimit -n 64; exec "$@"', 'sh']
    const env = { SIDE: `${temporaryFolder()}/side` }
    const child = new LinuxCopy().run(body, { before, env })
    expect(JSON.parse(await child.line())).toEqual({ before: 0, taken: 2, turning: false })
    await child.ended()
    expect(child.process.exitCode).toBe(0)
  })
  test('takes five hundred connections, each with a pidfd, and gives all back', async () => {
    const side = new Side()
    const fd = fdFor(process.pid)
    const before = openFds()
    for (let i = 0; i < 500; i++) {
      const from = client(side.path)
      from.send('vm', [fd])
      const { fds } = await side.message(i)
      fds[0]?.takePidfd()?.close()
      from.close()
      await until(() => side.ends === i + 1)
    }
    expect(openFds()).toBe(before)
  })
})
