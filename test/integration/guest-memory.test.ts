/**
 * Guest memory end to end: another process's memfd, over the daemon's side socket, mapped for a
 * session, and walked by the emulator's devices; and everything that is refused on the way.
 */
import fs from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { GUEST_RANGES_PER_SESSION_MAX } from '../../src/core/limits.js'
import { target } from '../../src/core/ids.js'
import { MEMORY_TOKENS_PER_USER_MAX } from '../../src/daemon/memory-tokens.js'
import { native } from '../../src/linux/addon.js'
import { SyscallFailure } from '../../src/linux/errno.js'
import { connect, type FdConnection } from '../../src/linux/fd-connection.js'
import { windowsMapped } from '../../src/linux/memory-window.js'
import { Child, openFds } from '../native/children.js'
import { stopAll } from '../support/daemon.js'
import { ServiceRig, type Refused, type TestSession } from '../support/service-rig.js'

const MIB = 2 ** 20
const GIB = 2 ** 30
const F_SEAL_SHRINK = 2
const MAP = 'PasidBroker/MapGuestMemory'
const UNMAP = 'PasidBroker/UnmapGuestMemory'
const PASID = target(300)
/** A first-stage table in the guest: page 5 -> frame 6, page 7 -> the last frame of the file. */
const TABLE = 0x10_0000

/** The guest: a memfd with tables in it. Says its descriptor; then it does what it is told. */
const GUEST = `
  import fcntl
  bytes, seals, table = int(sys.argv[1]), int(sys.argv[2]), ${TABLE}
  fd = os.memfd_create('guest', 2)
  os.ftruncate(fd, bytes)
  def put(at, value): os.pwrite(fd, value.to_bytes(8, 'little'), at)
  def tables():
    for level in range(3): put(table + level * 4096, table + (level + 1) * 4096 | 7)
    put(table + 3 * 4096 + 5 * 8, 6 * 4096 | 7)
    put(table + 3 * 4096 + 7 * 8, bytes - 4096 | 7)
  tables()
  if seals: fcntl.fcntl(fd, 1033, seals)
  say(fd)
  while True:
    word = hear()
    if word == '': break
    elif word == 'leaf': say(int.from_bytes(os.pread(fd, 8, table + 3 * 4096 + 5 * 8), 'little'))
    elif word == 'churn':
      say('churning')
      while True:
        os.ftruncate(fd, 0)
        os.ftruncate(fd, bytes)
        tables()
`

const rigs: ServiceRig[] = []
const sides: FdConnection[] = []

afterEach(async () => {
  for (const side of sides.splice(0)) if (side.isOpen) side.close()
  for (const rig of rigs.splice(0)) rig.close()
  await stopAll()
})

async function start(): Promise<ServiceRig> {
  const rig = await ServiceRig.start()
  rigs.push(rig)
  return rig
}

async function guest(bytes = 64 * MIB, seals = 0): Promise<Child & { path: string }> {
  const child = Child.python(GUEST, String(bytes), String(seals))
  return Object.assign(child, { path: `/proc/${child.pid}/fd/${await child.line()}` })
}

/** Descriptors of guests' files that this process, the daemon in it, has open. */
function guestFds(): number {
  const links = fs.readdirSync('/proc/self/fd').map((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return ''
    }
  })
  return links.filter((link) => link.startsWith('/memfd:guest')).length
}

/** One connection to the side socket, as this process. */
async function say(rig: ServiceRig, text: string, fds: readonly number[]): Promise<string> {
  const side = connect(rig.daemon.fdSocket)
  if (side instanceof SyscallFailure) throw new Error(String(side))
  sides.push(side)
  const answers: string[] = []
  side.onMessage((message) => answers.push(message.text))
  expect(side.send(text, fds)).toBeUndefined()
  for (const fd of fds) native.close(fd)
  await expect.poll(() => answers.length, { interval: 1 }).toBe(1)
  if (side.isOpen) side.close()
  await expect.poll(() => rig.daemon.connections().get('fds'), { interval: 1 }).toBe(0)
  return answers[0] ?? ''
}

async function handOver(rig: ServiceRig, path: string): Promise<string> {
  const answer = await say(rig, 'memory', [fs.openSync(path, 'r+')])
  expect(answer).toMatch(/^token [0-9a-f]{64}$/)
  return answer.slice('token '.length)
}

interface Range {
  readonly guestAddress?: number | bigint
  readonly offset?: number | bigint
  readonly size?: number | bigint
  readonly readOnly?: boolean
}

function message(session: TestSession, token: string, range: Range) {
  const { guestAddress = 0, offset = 0, size = 64 * MIB, readOnly = false } = range
  return {
    session: session.name,
    token,
    guestAddress: String(guestAddress),
    offset: String(offset),
    size: String(size),
    readOnly,
  }
}

async function map(rig: ServiceRig, session: TestSession, token: string, range: Range = {}) {
  return rig.vmm.must(MAP, message(session, token, range), session.token)
}

async function refused(
  rig: ServiceRig,
  method: typeof MAP | typeof UNMAP,
  session: TestSession,
  ask: object,
): Promise<Refused> {
  const reply = await rig.vmm.call(method, ask, session.token)
  if (reply.ok) throw new Error(`${method} was not refused`)
  return reply.refusal
}

async function bind(rig: ServiceRig, session: TestSession): Promise<void> {
  const pasids = { session: session.name, exact: { pasids: [PASID] } }
  await rig.vmm.must('PasidBroker/AllocatePasids', pasids, session.token)
  const table = { firstStage: { address: String(TABLE), addressWidth: 48 } }
  const devices = ['devices/mdev0']
  const binding = { session: session.name, pasid: PASID, devices, domain: 1, ...table }
  await rig.vmm.must('PasidBroker/BindPasid', binding, session.token)
}

/** What the device's request meets: the fault's name, or the guest's frame. */
function ask(rig: ServiceRig, page: number, write = false): string {
  const { backend, broker } = rig.daemon
  const address = BigInt(page) << 12n
  const access = { target: PASID, address, write, privileged: false }
  const { outcome } = backend.translate('mdev0', access)
  if (outcome.kind === 'FAULT') return 'fault'
  const [session] = [...broker.state.sessions.keys()]
  if (session === undefined) throw new Error('no session')
  return String((outcome.address - (backend.hostAddress(session, 0) ?? 0)) / 4096)
}

describe('guest memory', () => {
  test('of a sealed memfd is walked where it is, and flags are set for the guest to see', async () => {
    const rig = await start()
    const vm = await guest(64 * MIB, F_SEAL_SHRINK)
    const session = await rig.openSession(['mdev0'])
    await bind(rig, session)
    expect(ask(rig, 5)).toBe('fault')
    const token = await handOver(rig, vm.path)
    expect(await map(rig, session, token)).toEqual({ mapped: true })
    expect(ask(rig, 5, true)).toBe('6')
    vm.tell('leaf')
    expect(Number(await vm.line())).toBe((6 * 4096) | 7 | 0x60)
    const unmapped = await rig.vmm.must(UNMAP, { session: session.name }, session.token)
    expect(unmapped).toEqual({ unmapped: 1 })
    expect(ask(rig, 5)).toBe('fault')
  })

  test('of an unsealed memfd is read by the word', async () => {
    const rig = await start()
    const vm = await guest()
    const session = await rig.openSession(['mdev0'])
    await bind(rig, session)
    expect(await map(rig, session, await handOver(rig, vm.path))).toEqual({ mapped: false })
    expect(ask(rig, 5)).toBe('6')
    expect(ask(rig, 7)).toBe(String((64 * MIB) / 4096 - 1))
  })

  test('that is truncated while devices translate does no harm', async () => {
    const rig = await start()
    const vm = await guest()
    const session = await rig.openSession(['mdev0'])
    await bind(rig, session)
    await map(rig, session, await handOver(rig, vm.path))
    vm.tell('churn')
    await vm.line()
    const seen = new Set<string>()
    const invalidate = {
      session: session.name,
      entries: [{ pasid: { pasid: PASID }, caches: ['INVALIDATION_CACHE_IOTLB'] }],
    }
    for (let round = 0; round < 400 && seen.size < 2; round += 1) {
      for (let i = 0; i < 100; i += 1) seen.add(ask(rig, 5, i % 2 === 0))
      await rig.vmm.must('PasidBroker/Invalidate', invalidate, session.token)
    }
    for (const answer of seen) expect(['fault', '6']).toContain(answer)
    await vm.kill()
    expect(
      await rig.vmm.must('PasidBroker/GetSession', { name: session.name }, session.token),
    ).toMatchObject({ name: session.name })
  })

  test('of 4 GiB costs what is read of it, and is let go of with its session', async () => {
    const rig = await start()
    const vm = await guest(4 * GIB, F_SEAL_SHRINK)
    const session = await rig.openSession(['mdev0'])
    await bind(rig, session)
    const { rss } = process.memoryUsage()
    await map(rig, session, await handOver(rig, vm.path), { size: 4 * GIB })
    expect(ask(rig, 5)).toBe('6')
    expect(ask(rig, 7)).toBe(String(2 ** 20 - 1))
    expect([windowsMapped(), guestFds()]).toEqual([1, 1])
    expect(process.memoryUsage().rss - rss).toBeLessThan(512 * MIB)
    await rig.vmm.must('PasidBroker/CloseSession', { name: session.name }, session.token)
    await expect.poll(() => [windowsMapped(), guestFds()]).toEqual([0, 0])
  })

  test('is not there again after a restart, and needs no device to be mapped', async () => {
    const rig = await start()
    const session = await rig.openSession()
    const vm = await guest(64 * MIB, F_SEAL_SHRINK)
    await map(rig, session, await handOver(rig, vm.path))
    await rig.daemon.stop()
    await expect.poll(() => [windowsMapped(), guestFds()]).toEqual([0, 0])
  })
})

describe('refused', () => {
  test('a token that is unknown, used, or cut; and the session of another', async () => {
    const rig = await start()
    const session = await rig.openSession()
    const vm = await guest()
    const token = await handOver(rig, vm.path)
    await map(rig, session, token)
    const range = { guestAddress: GIB }
    for (const wrong of [token, 'f'.repeat(64), 'x']) {
      const { reason } = await refused(rig, MAP, session, message(session, wrong, range))
      expect(reason).toBe('MEMORY_TOKEN_INVALID')
    }
    for (const wrong of ['', 'x'.repeat(65), 'a b']) {
      const { reason, metadata } = await refused(rig, MAP, session, message(session, wrong, range))
      expect([reason, metadata['field']]).toEqual(['INVALID_ARGUMENT', 'token'])
    }
    const other = { ...session, token: '' }
    const { reason } = await refused(rig, MAP, other, message(session, token, range))
    expect(reason).not.toBe('MEMORY_TOKEN_INVALID')
  })

  test.each<[string, Range, string]>([
    ['no size', { size: 0 }, 'size'],
    ['a size that is no multiple of 4096', { size: 4095 }, 'size'],
    ['a guest address that is none', { guestAddress: 2048 }, 'guest_address'],
    ['an offset that is none', { offset: 8 }, 'offset'],
    ['beyond 2^48', { guestAddress: 2n ** 48n - 4096n, size: 8192 }, 'size'],
    ['at 2^48', { guestAddress: 2n ** 48n, size: 4096 }, 'guest_address'],
    ['an offset of 64 bits', { offset: 2n ** 64n - 4096n, size: 4096 }, 'offset'],
    ['a size of 64 bits', { size: 2n ** 64n - 4096n }, 'size'],
    ['more than 1 TiB', { size: 2n ** 40n + 4096n }, 'size'],
    ['more than the file', { size: 64 * MIB + 4096 }, 'size'],
    ['more than the file after the offset', { offset: 4096 }, 'size'],
  ])('%s', async (_name, range, field) => {
    const rig = await start()
    const session = await rig.openSession()
    const vm = await guest()
    const token = await handOver(rig, vm.path)
    const { reason, metadata } = await refused(rig, MAP, session, message(session, token, range))
    expect([reason, metadata['field']]).toEqual(['INVALID_ARGUMENT', field])
    expect(
      rig.daemon.backend.guestMemory.ranges([...rig.daemon.broker.state.sessions.keys()][0]!),
    ).toEqual([])
  })

  test('what overlaps, and one range more than a session may have; a token is not spent by it', async () => {
    const rig = await start()
    const session = await rig.openSession()
    const vm = await guest(MIB * 2, F_SEAL_SHRINK)
    const size = 4096
    const at = (i: number): Range => ({ guestAddress: i * 8192, size, offset: i * 4096 })
    for (let i = 0; i < GUEST_RANGES_PER_SESSION_MAX; i += 1) {
      await map(rig, session, await handOver(rig, vm.path), at(i))
    }
    const token = await handOver(rig, vm.path)
    const over = { guestAddress: 4096, size: 8192 }
    const overlaps = await refused(rig, MAP, session, message(session, token, over))
    expect([overlaps.reason, overlaps.metadata['mapped']]).toEqual([
      'MEMORY_OVERLAPS',
      '0x2000..0x2fff',
    ])
    const more = message(session, token, at(GUEST_RANGES_PER_SESSION_MAX))
    expect((await refused(rig, MAP, session, more)).reason).toBe('MEMORY_EXHAUSTED')
    for (const part of [
      { guestAddress: '0', size: '8192' },
      { guestAddress: '4096', size: '4096' },
    ]) {
      const gone = await refused(rig, UNMAP, session, { session: session.name, ...part })
      expect(gone.reason).toBe('MEMORY_NOT_FOUND')
    }
    const first = { session: session.name, guestAddress: '0', size: '4096' }
    expect(await rig.vmm.must(UNMAP, first, session.token)).toEqual({ unmapped: 1 })
    expect(await map(rig, session, token, at(GUEST_RANGES_PER_SESSION_MAX))).toEqual({
      mapped: true,
    })
    const all = await rig.vmm.must(UNMAP, { session: session.name }, session.token)
    expect(all).toEqual({ unmapped: GUEST_RANGES_PER_SESSION_MAX })
  })
})

describe('the side socket', () => {
  test('takes no more unused memory than it may, and closes what nobody mapped', async () => {
    const rig = await start()
    const vm = await guest()
    for (let i = 0; i < MEMORY_TOKENS_PER_USER_MAX; i += 1) await handOver(rig, vm.path)
    const answer = await say(rig, 'memory', [fs.openSync(vm.path, 'r+')])
    expect(answer).toMatch(/^refused too many tokens are unused \(at most 256, and 64 of one user/)
    await expect.poll(guestFds).toBe(MEMORY_TOKENS_PER_USER_MAX)
    await rig.daemon.stop()
    await expect.poll(guestFds).toBe(0)
  })

  const O_PATH = 0o10000000
  test.each<[string, string, (path: string) => number[], RegExp]>([
    [
      'a device',
      'memory',
      () => [fs.openSync('/dev/zero', 'r+')],
      /it is a character device; send/,
    ],
    ['a file on disk', 'memory', () => [fs.openSync(import.meta.filename, 'r')], /neither a memfd/],
    ['a path', 'memory', (path) => [fs.openSync(path, O_PATH)], /O_PATH/],
    ['a pidfd', 'memory', () => [native.pidfdOpen(process.pid)], /^refused it is/],
    ['nothing', 'memory', () => [], /no descriptor came with it; send one memfd/],
    [
      'two',
      'memory',
      (path) => [fs.openSync(path, 'r+'), fs.openSync(path, 'r+')],
      /2 descriptors came with it; send one memfd/,
    ],
    [
      'five',
      'memory',
      (path) => Array.from({ length: 5 }, () => fs.openSync(path, 'r+')),
      /the message was cut off/,
    ],
    [
      'another word',
      'memories',
      (path) => [fs.openSync(path, 'r+')],
      /neither "pidfd" nor "memory"/,
    ],
    ['who is no delegate', 'pidfd', (path) => [fs.openSync(path, 'r+')], /is no delegate/],
  ])('refuses %s, and closes every descriptor', async (_name, text, make, expected) => {
    const rig = await start()
    const vm = await guest()
    await handOver(rig, vm.path)
    const before = openFds()
    expect(await say(rig, text, make(vm.path))).toMatch(expected)
    await expect.poll(openFds).toBe(before)
  })

  test('gives a token to a process that no other process can use', async () => {
    const rig = await start()
    const session = await rig.openSession()
    const child = Child.python(
      `
      fd = os.memfd_create('guest', 2)
      os.ftruncate(fd, 1 << 20)
      with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as side:
        side.connect(sys.argv[1])
        socket.send_fds(side, [b'memory'], [fd])
        say(side.recv(4096).decode())
        hear()
      `,
      rig.daemon.fdSocket,
    )
    const [word, token = ''] = (await child.line()).split(' ')
    expect(word).toBe('token')
    const ask = message(session, token, { size: MIB })
    expect((await refused(rig, MAP, session, ask)).reason).toBe('MEMORY_TOKEN_INVALID')
  })
})
