/**
 * Devices that are handed over on the side socket: what comes of the two descriptors, of every wrong
 * one, and of their tokens. sysfs is made up: /dev/null stands for /dev/iommu, /dev/zero for a device.
 */
import { spawn, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Caller } from '../../src/broker/caller.js'
import { Admission } from '../../src/daemon/admission.js'
import { ConnectionCaps } from '../../src/daemon/connection-caps.js'
import {
  HAND_OVERS_PER_PROCESS_MAX,
  HAND_OVERS_PER_USER_MAX,
  HandOverTokens,
} from '../../src/daemon/hand-over-tokens.js'
import { MemoryTokens } from '../../src/daemon/memory-tokens.js'
import { TOKEN_LIFE_MS } from '../../src/daemon/one-time-tokens.js'
import { OwnerSocket } from '../../src/daemon/owner-socket.js'
import { OwnerTokens } from '../../src/daemon/owner-tokens.js'
import { systemChance, systemClock } from '../../src/daemon/ports.js'
import { type ProcessHold, Processes } from '../../src/daemon/processes.js'
import { native } from '../../src/linux/addon.js'
import { SyscallFailure } from '../../src/linux/errno.js'
import { createMemfd } from '../../src/linux/memfd.js'
import { Pidfd } from '../../src/linux/pidfd.js'
import { RigClock } from '../support/broker-rig-clock.js'
import { makeSysfs } from '../support/fake-sysfs.js'
import { closeSideClients, SideClient } from '../support/side-client.js'

const SENDER = path.resolve(import.meta.dirname, '../support/side-sender.mjs')
const O_PATH = 0o10000000
const { O_RDONLY, O_RDWR, O_WRONLY, O_NONBLOCK } = fs.constants

let folder: string
let clock: RigClock
let tokens: HandOverTokens
let memory: MemoryTokens
let owners: OwnerTokens
let ourselves: ProcessHold
let socket: OwnerSocket
let made: number[] = []
let fdsBefore: number

const openFds = () => fs.readdirSync('/proc/self/fd').length

async function open(sysfs = path.join(folder, 'sys')): Promise<void> {
  const processes = new Processes()
  const pidfd = Pidfd.open(process.pid)
  if (pidfd instanceof SyscallFailure) throw new Error(String(pidfd))
  ourselves = processes.hold(pidfd, process.pid)
  const limits = { connections: 100, connectionsPerUid: 50, firstByteMs: 10_000 }
  const log = pino({ enabled: false })
  const caps = new ConnectionCaps(limits, [0])
  const identity = { rules: [], unmatched: 'socket-tenant', operators: [] } as const
  const admission = new Admission({ identity, processes, caps, log })
  const access = { owner: undefined, group: undefined, mode: 0o660, directoryMode: 0o750 }
  socket = await OwnerSocket.open({
    socket: { path: path.join(folder, 'fds', 's'), ...access },
    admission,
    processes,
    tokens: owners,
    memory,
    devices: { tokens, sysfs },
    limits,
    log,
  })
}

beforeEach(() => {
  fdsBefore = openFds()
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pasid-'))
  makeSysfs(folder)
  clock = new RigClock()
  tokens = new HandOverTokens(clock, systemChance)
  memory = new MemoryTokens(systemClock, systemChance)
  owners = new OwnerTokens(systemClock, systemChance)
})
afterEach(async () => {
  closeSideClients()
  socket.close()
  tokens.close()
  memory.close()
  owners.close()
  ourselves.release()
  for (const fd of made) native.close(fd)
  made = []
  fs.rmSync(folder, { recursive: true, force: true })
  // What is closed elsewhere is closed by now: nothing of one test is counted in the next.
  await expect.poll(openFds).toBe(fdsBefore)
})

/** Ours until the end of the test. */
function own(fd: number): number {
  expect(fd).toBeGreaterThanOrEqual(0)
  made.push(fd)
  return fd
}

const file = (name: string, flags = O_RDWR) => own(fs.openSync(name, flags))
const iommufd = () => file('/dev/null')
const cdev = () => file('/dev/zero')

/** `of`: what is different of the process. */
function caller(of: Partial<Caller['process']> = {}): Caller {
  const process_ = { ...ourselves.id, uid: 0, gid: 0, ...of }
  const ended = () => false
  return { process: process_, tenant: undefined, delegateFor: new Set(), role: undefined, ended }
}

/** Both are as they must be. */
async function handOver(client: SideClient): Promise<string> {
  const answer = await client.ask('vfio', [iommufd(), cdev()])
  expect(answer).toMatch(/^token [0-9a-f]{64}$/)
  return answer.slice('token '.length)
}

const nameOf = ({ number }: { readonly number: number }) =>
  fs.readlinkSync(`/proc/self/fd/${number}`)

describe('a device', () => {
  test('is handed over for a token, once, in its order, though the sender closed its own', async () => {
    await open()
    const client = new SideClient(socket.path)
    const both = [fs.openSync('/dev/null', O_RDWR), fs.openSync('/dev/zero', O_RDWR)]
    client.say('vfio', both)
    for (const fd of both) native.close(fd)
    const token = (await client.ask('so that both are answered')).slice('token '.length)
    const taken = tokens.take(token, caller())
    if (taken === undefined) throw new Error('nothing was handed over')
    expect([nameOf(taken.iommufd), nameOf(taken.cdev)]).toEqual(['/dev/null', '/dev/zero'])
    expect(tokens.take(token, caller())).toBeUndefined()
    taken.iommufd.close()
    taken.cdev.close()
  })
  test('is not for another process, and still there for its own', async () => {
    await open()
    const token = await handOver(new SideClient(socket.path))
    const another = caller({ inode: '1', startTime: '1' })
    expect(tokens.take(token, another)).toBeUndefined()
    expect(tokens.take('0'.repeat(64), caller())).toBeUndefined()
    const taken = tokens.take(token, caller())
    expect(taken).toBeDefined()
    taken?.iommufd.close()
    taken?.cdev.close()
  })
  test('is closed when nobody comes for it in time', async () => {
    await open()
    const client = new SideClient(socket.path)
    await client.ask('something, so that it is accepted')
    const begun = openFds()
    const token = await handOver(client)
    expect(openFds()).toBe(begun + 4)
    clock.pass(TOKEN_LIFE_MS - 1)
    expect(tokens.outstanding).toBe(1)
    clock.pass(1)
    expect([tokens.outstanding, tokens.take(token, caller())]).toEqual([0, undefined])
    await expect.poll(openFds).toBe(begun + 2)
  })
  test.each([
    ['vfio', ['/dev/null', '/dev/zero'], () => tokens.outstanding],
    ['memory', [], () => memory.outstanding],
  ] as const)('of a process that ends is closed at once: %s', async (word, files, outstanding) => {
    await open()
    const client = new SideClient(socket.path)
    const ours = await client.ask(word, word === 'vfio' ? [iommufd(), cdev()] : [memfd()])
    expect(ours).toMatch(/^token /)
    const before = openFds()
    const sender = spawn('node', [SENDER, socket.path, word, ...files])
    const ended = new Promise((resolve) => sender.once('close', resolve))
    let said = ''
    sender.stdout.on('data', (chunk: Buffer) => (said += String(chunk)))
    await expect.poll(() => said).toMatch(/^token [0-9a-f]{64}\n$/)
    expect(outstanding()).toBe(2)
    sender.kill('SIGKILL')
    await ended
    // No time has passed: ours waits on.
    await expect.poll(outstanding).toBe(1)
    await expect.poll(openFds).toBe(before)
  })
  test('that was taken and refused then is closed without holding up the loop', async () => {
    await open()
    const client = new SideClient(socket.path)
    const token = await handOver(client)
    const taken = tokens.take(token, caller())
    const before = openFds()
    taken?.iommufd.close()
    taken?.cdev.close()
    await expect.poll(openFds).toBe(before - 2)
    expect(() => taken?.cdev.close()).toThrow('used after it was closed')
  })
  test('and 3 more may wait of one process; a newer one takes the place of its oldest', async () => {
    await open()
    const client = new SideClient(socket.path)
    const issued: string[] = []
    for (let i = 0; i < HAND_OVERS_PER_PROCESS_MAX; i += 1) issued.push(await handOver(client))
    const both = [iommufd(), cdev()]
    const full = openFds()
    expect(await client.ask('vfio', both)).toMatch(/^token /)
    expect(tokens.outstanding).toBe(HAND_OVERS_PER_PROCESS_MAX)
    // The two of the oldest are closed.
    await expect.poll(openFds).toBe(full)
    const [oldest = '', next = ''] = issued
    expect(tokens.take(oldest, caller())).toBeUndefined()
    const taken = tokens.take(next, caller())
    expect(taken).toBeDefined()
    taken?.iommufd.close()
    taken?.cdev.close()
  })
  test('and 15 more may wait of one user, of several processes; then the oldest gives way', async () => {
    await open()
    const client = new SideClient(socket.path)
    const both = [iommufd(), cdev()]
    const issue = tokens.issue.bind(tokens)
    let processes = 0
    vi.spyOn(tokens, 'issue').mockImplementation((sent, { uid }) => {
      processes += 1
      const number = String(processes)
      const { process: another } = caller({ inode: number, startTime: number })
      return issue(sent, { process: another, uid })
    })
    for (let i = 0; i < HAND_OVERS_PER_USER_MAX; i += 1) {
      expect(await client.ask('vfio', both)).toMatch(/^token /)
    }
    const full = openFds()
    expect(await client.ask('vfio', both)).toMatch(/^token /)
    expect(tokens.outstanding).toBe(HAND_OVERS_PER_USER_MAX)
    await expect.poll(openFds).toBe(full)
    clock.pass(TOKEN_LIFE_MS)
    await expect.poll(openFds).toBe(full - 2 * HAND_OVERS_PER_USER_MAX)
    expect(await client.ask('vfio', both)).toMatch(/^token /)
  })
})

const memfd = () => {
  const memory_ = createMemfd('memory')
  if (memory_ instanceof SyscallFailure) throw new Error(String(memory_))
  return own(memory_.release())
}
const fifo = () => {
  const name = path.join(folder, 'fifo')
  if (!fs.existsSync(name)) spawnSync('mkfifo', [name])
  return file(name, O_RDWR | O_NONBLOCK)
}
const socketFd = () => {
  const pair = native.seqpacketPair()
  if (typeof pair === 'number') throw new Error(`socketpair: ${pair}`)
  own(pair[1])
  return own(pair[0])
}
/** Node has at least one of its own. */
const epoll = () => {
  for (const name of fs.readdirSync('/proc/self/fd')) {
    const link = `/proc/self/fd/${name}`
    if (safeLink(link) === 'anon_inode:[eventpoll]') return Number(name)
  }
  throw new Error('there is no epoll descriptor')
}
const safeLink = (name: string) => {
  try {
    return fs.readlinkSync(name)
  } catch {
    return ''
  }
}
const regular = () => file(import.meta.filename, O_RDONLY)
const directory = () => file(import.meta.dirname, O_RDONLY)
const pidfd = () => own(native.pidfdOpen(process.pid))
const SEND = 'send /dev/iommu first, then /dev/vfio/devices/vfioN, each opened O_RDWR'
const OPEN_NODE = 'open the device’s own node, /dev/vfio/devices/vfioN'

describe('the side socket refuses, and closes', () => {
  const first = (what: string) =>
    `refused the first descriptor is ${what}, and not /dev/iommu; ${SEND}`
  const second = (what: string, remedy = SEND) =>
    `refused the second descriptor is ${what}, and not a device of VFIO’s; ${remedy}`
  const TWO = 'send two: /dev/iommu, then /dev/vfio/devices/vfioN'

  test.each<[string, () => number[], string]>([
    ['a pipe for the iommufd', () => [fifo(), cdev()], first('a pipe')],
    ['a pipe for the device', () => [iommufd(), fifo()], second('a pipe')],
    ['a socket for the iommufd', () => [socketFd(), cdev()], first('a socket')],
    ['a socket for the device', () => [iommufd(), socketFd()], second('a socket')],
    ['a memfd for the iommufd', () => [memfd(), cdev()], first('a file or memfd')],
    ['a memfd for the device', () => [iommufd(), memfd()], second('a file or memfd')],
    ['a file for the iommufd', () => [regular(), cdev()], first('a file or memfd')],
    ['a file for the device', () => [iommufd(), regular()], second('a file or memfd')],
    ['a folder for the iommufd', () => [directory(), cdev()], first('a directory')],
    ['a folder for the device', () => [iommufd(), directory()], second('a directory')],
    [
      'an anonymous file for the iommufd',
      () => [epoll(), cdev()],
      first('an anonymous file (anon_inode:[eventpoll])'),
    ],
    [
      'an anonymous file for the device',
      () => [iommufd(), epoll()],
      second('an anonymous file (anon_inode:[eventpoll])'),
    ],
    [
      'another device for the iommufd',
      () => [file('/dev/urandom'), cdev()],
      first('the character device 1:9'),
    ],
    [
      'an iommufd that is only a path',
      () => [file('/dev/null', O_PATH), cdev()],
      first('only a path (O_PATH)'),
    ],
    [
      'a device that is only a path',
      () => [iommufd(), file('/dev/zero', O_PATH)],
      second('only a path (O_PATH)'),
    ],
    [
      'an iommufd that is only read',
      () => [file('/dev/null', O_RDONLY), cdev()],
      first('/dev/iommu, but not opened for reading and writing'),
    ],
    [
      'a device that is only written',
      () => [iommufd(), file('/dev/zero', O_WRONLY)],
      second('/dev/vfio/devices/vfio0, but not opened for reading and writing'),
    ],
    ['two iommufds', () => [iommufd(), iommufd()], second('/dev/iommu')],
    ['two devices', () => [cdev(), cdev()], first('/dev/vfio/devices/vfio0')],
    [
      'the two the other way round',
      () => [cdev(), iommufd()],
      `refused the two are in the wrong order; ${SEND}`,
    ],
    [
      'a group for the device',
      () => [iommufd(), file('/dev/full')],
      second('the group /dev/vfio/26', OPEN_NODE),
    ],
    ['a container for the iommufd', () => [file('/dev/random'), cdev()], first('/dev/vfio/vfio')],
    [
      'a device that sysfs does not know',
      () => [iommufd(), file('/dev/urandom')],
      second('the character device 1:9'),
    ],
    ['none', () => [], `refused no descriptor came with it; ${TWO}`],
    ['one', () => [iommufd()], `refused 1 descriptor came with it; ${TWO}`],
    ['three', () => [iommufd(), cdev(), cdev()], `refused 3 descriptors came with it; ${TWO}`],
    [
      'five',
      () => [iommufd(), cdev(), cdev(), cdev(), cdev()],
      'refused the message was cut off; send "pidfd" with one pidfd, "memory" with one memfd, ' +
        'or "vfio" with /dev/iommu and a VFIO cdev',
    ],
  ])('%s', async (_name, make, expected) => {
    await open()
    const client = new SideClient(socket.path)
    await client.ask('something, so that it is accepted')
    const fds = make()
    const begun = openFds()
    expect(await client.ask('vfio', fds)).toBe(expected)
    expect(tokens.outstanding).toBe(0)
    await expect.poll(openFds).toBe(begun)
    // The connection stays, for a better try.
    await handOver(client)
  })

  test('devices of this host that are no such device, by their own names', async () => {
    await open('/sys')
    const client = new SideClient(socket.path)
    const say = async (...fds: readonly number[]) => client.ask('vfio', fds)
    // Where sysfs is not mounted only the number is known.
    const null_ = /^refused the first descriptor is (\/dev\/null|the character device 1:3), and not/
    const zero = /^refused the first descriptor is (\/dev\/zero|the character device 1:5), and not/
    expect(await say(file('/dev/null'), file('/dev/zero'))).toMatch(null_)
    expect(await say(file('/dev/zero'), file('/dev/null'))).toMatch(zero)
    expect(await say(pidfd(), cdev())).toMatch(/^refused the first descriptor is an? .*file/)
    expect(tokens.outstanding).toBe(0)
  })
})
