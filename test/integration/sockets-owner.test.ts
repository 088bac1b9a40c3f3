/** The side socket: what is handed over for a token, and what is not. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Caller } from '../../src/broker/caller.js'
import { Admission } from '../../src/daemon/admission.js'
import type { IdentityConfig } from '../../src/daemon/config/config.js'
import { ConnectionCaps } from '../../src/daemon/connection-caps.js'
import { StartFailure } from '../../src/daemon/exits.js'
import { OwnerSocket } from '../../src/daemon/owner-socket.js'
import { MemoryTokens } from '../../src/daemon/memory-tokens.js'
import { OwnerTokens, TOKENS_PER_USER_MAX } from '../../src/daemon/owner-tokens.js'
import { systemChance, systemClock } from '../../src/daemon/ports.js'
import { ProcessHold, Processes } from '../../src/daemon/processes.js'
import { native } from '../../src/linux/addon.js'
import { SyscallFailure } from '../../src/linux/errno.js'
import { connect } from '../../src/linux/fd-connection.js'
import { Pidfd } from '../../src/linux/pidfd.js'
import { closeSideClients, SideClient } from '../support/side-client.js'

const UID = process.getuid?.() ?? 0
const NOBODY = 65_534
const NOTHING = {
  uid: undefined,
  gid: undefined,
  cgroup: undefined,
  label: undefined,
  executable: undefined,
}

let folder: string
let processes: Processes
let tokens: OwnerTokens
let memory: MemoryTokens
let caps: ConnectionCaps
let ourselves: ProcessHold
let socket: OwnerSocket
let fdsBefore: number
const children: ChildProcess[] = []
const lines: string[] = []

const openFds = () => fs.readdirSync('/proc/self/fd').length

function rulesFor(uid: number): IdentityConfig {
  const rules = [{ role: 'delegate', tenants: ['t'], ...NOTHING, uid }] as const
  return { rules, unmatched: 'socket-tenant', operators: [] }
}

async function open(identity: IdentityConfig, limits = {}): Promise<OwnerSocket> {
  const all = { connections: 100, connectionsPerUid: 50, firstByteMs: 10_000, ...limits }
  const log = pino({}, { write: (line: string) => lines.push(line) })
  caps = new ConnectionCaps(all, [NOBODY])
  const admission = new Admission({ identity, processes, caps, log })
  const access = { owner: undefined, group: undefined, mode: 0o660, directoryMode: 0o750 }
  const at = { path: path.join(folder, 'fds', 's'), ...access }
  const parts = { admission, processes, tokens, memory, devices: undefined, log }
  socket = await OwnerSocket.open({ socket: at, ...parts, limits: all })
  return socket
}

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pasid-'))
  lines.length = 0
  processes = new Processes()
  tokens = new OwnerTokens(systemClock, systemChance)
  memory = new MemoryTokens(systemClock, systemChance)
  const pidfd = Pidfd.open(process.pid)
  if (pidfd instanceof SyscallFailure) throw new Error(String(pidfd))
  ourselves = processes.hold(pidfd, process.pid)
  fdsBefore = openFds()
})
afterEach(() => {
  closeSideClients()
  socket.close()
  tokens.close()
  memory.close()
  for (const child of children.splice(0)) child.kill('SIGKILL')
  fs.rmSync(folder, { recursive: true, force: true })
})

/** To the socket that is open. */
const newClient = () => new SideClient(socket.path)

function tiny(): number {
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' })
  children.push(child)
  return child.pid ?? -1
}

/** A descriptor of our own for the call, whatever becomes of it. */
async function withFd<T>(fd: number, use: (fd: number) => Promise<T>): Promise<T> {
  expect(fd).toBeGreaterThanOrEqual(0)
  try {
    return await use(fd)
  } finally {
    native.close(fd)
  }
}

function caller(): Caller {
  const process_ = { ...ourselves.id, uid: UID, gid: 0 }
  const ended = () => false
  return { process: process_, tenant: undefined, delegateFor: new Set(), role: undefined, ended }
}

const pidfdOf = (pid: number) => native.pidfdOpen(pid)

describe('a delegate', () => {
  beforeEach(async () => {
    await open(rulesFor(UID))
  })

  test('gets a token for a pidfd, and the process has its own credentials', async () => {
    const pid = tiny()
    const answer = await withFd(pidfdOf(pid), (fd) => newClient().ask('pidfd', [fd]))
    expect(answer).toMatch(/^token [0-9a-f]{64}$/)
    const taken = tokens.take(answer.slice('token '.length), caller())
    const gid = process.getgid?.()
    expect(taken).toMatchObject({ owner: { pid, uid: UID, gid }, ended: false })
  })
  test('hands over a thousand processes on one connection, and no descriptor stays', async () => {
    const client = newClient()
    await withFd(pidfdOf(tiny()), async (fd) => {
      await client.ask('something, so that it is accepted')
      const begun = openFds()
      for (let i = 0; i < 1000; i++) {
        const answer = await client.ask('pidfd', [fd])
        expect(tokens.take(answer.slice('token '.length), caller())).toBeDefined()
      }
      expect(openFds()).toBe(begun)
    })
    client.close()
    await expect.poll(openFds).toBe(fdsBefore + 1)
  })
  test('has so many unused tokens and no more', async () => {
    const client = newClient()
    await withFd(pidfdOf(tiny()), async (fd) => {
      for (let i = 0; i < TOKENS_PER_USER_MAX; i++) {
        expect(await client.ask('pidfd', [fd])).toMatch('token')
      }
      const answer = await client.ask('pidfd', [fd])
      expect(answer).toMatch(/^refused too many tokens are unused \(at most 1024, and 256 of one/)
    })
  })
  test('gets none for a process that has ended', async () => {
    const pid = tiny()
    await withFd(pidfdOf(pid), async (fd) => {
      const ended = new Promise((resolve) => children[0]!.once('exit', resolve))
      process.kill(pid, 'SIGKILL')
      await ended
      const answer = await newClient().ask('pidfd', [fd])
      expect(answer).toMatch(/^refused the process has ended; send a pidfd of one that runs/)
    })
    expect(tokens.outstanding).toBe(0)
  })

  const file = () => fs.openSync(import.meta.filename, 'r')
  const folderFd = () => fs.openSync(import.meta.dirname, 'r')
  const device = () => fs.openSync('/dev/null', 'r')
  const pidfdByPath = () => {
    const pidfd = pidfdOf(process.pid)
    const name = `/proc/self/fd/${pidfd}`
    const fd = fs.openSync(name, fs.constants.O_RDONLY | 0o10000000)
    native.close(pidfd)
    return fd
  }
  test.each<[string, string, (() => number)[], RegExp]>([
    ['a file', 'pidfd', [file], /^refused a regular file is no pidfd of a process; send one pidfd/],
    ['a folder', 'pidfd', [folderFd], /^refused a directory is no pidfd/],
    ['a device', 'pidfd', [device], /^refused a character device is no pidfd/],
    [
      'a pidfd that is only a path',
      'pidfd',
      [pidfdByPath],
      /^refused what came is no pidfd of a process/,
    ],
    ['nothing', 'pidfd', [], /^refused no descriptor came with it; send one pidfd/],
    ['two', 'pidfd', [() => pidfdOf(1), () => pidfdOf(1)], /^refused 2 descriptors came with it/],
    ['another word', 'virtio', [() => pidfdOf(1)], /^refused the text is neither "pidfd"/],
    [
      'a device, to a daemon with devices of its own',
      'vfio',
      [device, device],
      /^refused this daemon has the emulator, to which no device is handed over/,
    ],
    ['a long text', `pidfd${' '.repeat(60)}`, [() => pidfdOf(1)], /^refused the message was cut/],
    [
      'more than fit',
      'pidfd',
      Array.from({ length: 5 }, () => () => pidfdOf(1)),
      /^refused the message was cut off; send "pidfd" with one pidfd/,
    ],
  ])('sends %s: refused, and every descriptor is closed', async (_name, text, make, expected) => {
    const client = newClient()
    await client.ask('something, so that it is accepted')
    const begun = openFds()
    const fds = make.map((one) => one())
    expect(await client.ask(text, fds)).toMatch(expected)
    for (const fd of fds) native.close(fd)
    await expect.poll(openFds).toBe(begun)
    // The connection stays, for a better try.
    await withFd(pidfdOf(process.pid), async (fd) => {
      expect(await client.ask('pidfd', [fd])).toMatch(/^token /)
    })
  })
  test('sends a socket: refused', async () => {
    const connection = connect(socket.path)
    if (connection instanceof SyscallFailure) throw new Error(String(connection))
    const server = net.createServer()
    await new Promise<void>((resolve) => server.listen(path.join(folder, 'x'), resolve))
    const fd: unknown = Reflect.get(Reflect.get(server, '_handle') as object, 'fd')
    expect(await newClient().ask('pidfd', [Number(fd)])).toMatch(/^refused a socket is no pidfd/)
    server.close()
    connection.close()
  })
})

/** A kernel whose pidfds have no inodes, and a /proc that does not show when a process started. */
class NamelessProcesses extends Processes {
  override hold(pidfd: Pidfd, pid: number): ProcessHold {
    const id = { pid, inode: '', startTime: '', pidNamespace: '' }
    const shared = { key: 'nameless', id, pidfd, holds: new Set<ProcessHold>() }
    return new ProcessHold(shared, () => pidfd.close())
  }
}

describe('others', () => {
  test.each(['pidfd', 'memory', 'vfio'])(
    'whom nothing tells from a later process get no token for %s, are told why, and cut',
    async (text) => {
      processes = new NamelessProcesses()
      await open(rulesFor(UID))
      const begun = openFds()
      const client = newClient()
      const answer = await withFd(pidfdOf(process.pid), (fd) => client.ask(text, [fd]))
      const pid = String(process.pid)
      expect(answer).toMatch(`refused process ${pid} cannot be told from a later one: the kernel`)
      expect(answer).toMatch('let the daemon read it (hidepid of /proc')
      await expect.poll(() => [client.isClosed, socket.connections]).toEqual([true, 0])
      await expect.poll(openFds).toBe(begun)
      expect([tokens.outstanding, memory.outstanding]).toEqual([0, 0])
    },
  )
  test('who are no delegate are told so and cut, and what they sent is closed', async () => {
    await open(rulesFor(UID + 1))
    const begun = openFds()
    const client = newClient()
    await withFd(pidfdOf(process.pid), async (fd) => {
      const answer = await client.ask('pidfd', [fd])
      expect(answer).toMatch(new RegExp(`^refused user ${UID} is no delegate; add an`))
    })
    await expect.poll(() => [client.isClosed, socket.connections]).toEqual([true, 0])
    await expect.poll(openFds).toBe(begun)
    expect(tokens.outstanding).toBe(0)
  })
  test('who say nothing are cut', async () => {
    await open(rulesFor(UID), { firstByteMs: 100 })
    const [silent, speaks] = [newClient(), newClient()]
    await withFd(pidfdOf(process.pid), (fd) => speaks.ask('pidfd', [fd]))
    await expect.poll(() => silent.isClosed).toBe(true)
    expect([speaks.isClosed, lines.join('')]).toEqual([false, expect.stringMatching('silent')])
  })
  test('beyond the bound of one user, shared with the sockets of VMMs', async () => {
    await open(rulesFor(UID), { connectionsPerUid: 3 })
    // Two on sockets of VMMs.
    caps.enter(UID)
    caps.enter(UID)
    const [first, second] = [newClient(), newClient()]
    await expect.poll(() => second.isClosed).toBe(true)
    expect(lines.join('')).toMatch('as many as one user may have are open')
    expect([first.isClosed, caps.countOf(UID)]).toEqual([false, 3])
    first.close()
    await expect.poll(() => caps.countOf(UID)).toBe(2)
    const third = newClient()
    await withFd(pidfdOf(process.pid), async (fd) => {
      expect(await third.ask('pidfd', [fd])).toMatch('token')
    })
  })
})

describe('a file whose server does not answer its close', () => {
  /** What the sender says, line by line; `go` lets it answer. */
  const mount = () => path.join(folder, 'mount')
  const sender = () => {
    fs.mkdirSync(mount())
    const script = path.resolve(import.meta.dirname, '../helpers/fuse-sender.py')
    const child = spawn('python3', [script, socket.path, mount()], { stdio: 'pipe' })
    children.push(child)
    let said = ''
    for (const out of [child.stdout, child.stderr]) {
      out.on('data', (chunk: Buffer) => (said += String(chunk)))
    }
    return { said: () => said.split('\n').filter(Boolean), go: () => child.stdin.write('go\n') }
  }
  const NO_MOUNT = 'it mounts a file system that hangs: FUSE=1 asks for it, as root'
  const mayMount = process.env['FUSE'] === '1' && UID === 0 && fs.existsSync('/dev/fuse')
  afterEach(() => {
    if (!mayMount) return
    // When the test has failed: nothing may wait for a server that is gone.
    spawnSync('umount', ['--force', '--lazy', mount()], { stdio: 'ignore' })
  })

  test('from a delegate: others go on meanwhile', async (ctx) => {
    ctx.skip(!mayMount, NO_MOUNT)
    await open(rulesFor(UID))
    const { said, go } = sender()
    await expect.poll(() => said().join(), { timeout: 30_000 }).toContain('FLUSH')
    const token = await withFd(pidfdOf(process.pid), (fd) => newClient().ask('pidfd', [fd]))
    expect(token).toMatch(/^token /)
    await expect.poll(() => said().join()).toMatch(/answer refused .* is no pidfd/)
    go()
    await expect.poll(() => said().join('\n'), { timeout: 30_000 }).toContain('done')
    expect(said()).not.toContain('late')
  })
  test('from anybody else: likewise', async (ctx) => {
    ctx.skip(!mayMount, NO_MOUNT)
    await open(rulesFor(UID + 1))
    const { said, go } = sender()
    await expect.poll(() => said().join(), { timeout: 30_000 }).toContain('FLUSH')
    const zero = fs.openSync('/dev/zero', 'r')
    expect(await newClient().ask('memory', [zero])).toMatch(/^refused it is a character device/)
    fs.closeSync(zero)
    await expect.poll(() => said().join()).toMatch('answer refused user')
    go()
    await expect.poll(() => said().join('\n'), { timeout: 30_000 }).toContain('done')
    expect(said()).not.toContain('late')
  })
})

test('the file has its mode, goes with the socket, and a live one is not replaced', async () => {
  await open(rulesFor(UID))
  expect(fs.statSync(socket.path).mode & 0o777).toBe(0o660)
  const first = socket
  const failure = await open(rulesFor(UID)).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(StartFailure)
  expect(String(failure)).toMatch(`another process answers on the socket ${first.path}`)
  first.close()
  first.close()
  expect(fs.existsSync(first.path)).toBe(false)
  expect(openFds()).toBe(fdsBefore)
  // A dead one is.
  const listening = native.seqpacketListen(first.path, 5)
  native.close(listening)
  await open(rulesFor(UID))
  expect(await newClient().ask('pidfd')).toMatch('refused no descriptor')
})
