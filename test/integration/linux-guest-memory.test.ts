/**
 * Guest memory as another process hands it over: real memfds of every kind, mapped or read by the
 * word, and whatever their owner does to them meanwhile.
 */
import fs from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { native } from '../../src/linux/addon.js'
import {
  type GuestMemoryFile,
  MemoryProblem,
  openMemoryPath,
  openReceivedMemory,
} from '../../src/linux/guest-memory.js'
import { WINDOW_BYTES, windowsMapped } from '../../src/linux/memory-window.js'
import { ReceivedFd } from '../../src/linux/received-fd.js'
import { Child, openFds, temporaryFolder, until } from '../native/children.js'

const GIB = 2 ** 30

/** A process with a memfd of its own; it does what it is told, line by line. */
const OWNER = `
  import fcntl
  bytes, flags, seals = int(sys.argv[1]), int(sys.argv[2], 0), int(sys.argv[3], 0)
  libc = ctypes.CDLL(None, use_errno=True)
  fd = os.memfd_create('guest', flags)
  os.ftruncate(fd, bytes)
  def put(offset, value):
    os.pwrite(fd, value.to_bytes(8, 'little'), offset)
  if flags & 4 == 0:
    for offset in range(0, bytes, max(8, bytes // 8) // 8 * 8):
      if offset + 8 <= bytes: put(offset, offset + 1)
  if seals: fcntl.fcntl(fd, 1033, seals)
  say(fd)
  while True:
    words = hear().split()
    if not words: break
    try:
      if words[0] == 'truncate': os.ftruncate(fd, int(words[1]))
      elif words[0] == 'put': put(int(words[1]), int(words[2]))
      elif words[0] == 'get': say(int.from_bytes(os.pread(fd, 8, int(words[1])), 'little'))
      elif words[0] == 'punch':
        # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
        end = int(words[2])
        if libc.fallocate(fd, 3, ctypes.c_long(int(words[1])), ctypes.c_long(end)): say('failed')
      elif words[0] == 'seal': fcntl.fcntl(fd, 1033, int(words[1], 0))
      if words[0] != 'get': say('done')
    except OSError as error:
      say('error')
`
const MFD_ALLOW_SEALING = 2
const MFD_HUGETLB = 4
const SEAL = { SEAL: 1, SHRINK: 2, GROW: 4, WRITE: 8, FUTURE_WRITE: 16 }

interface Owner {
  readonly child: Child
  readonly fd: string
  tell(line: string): Promise<string>
}

async function owner(bytes: number, seals = 0, flags = MFD_ALLOW_SEALING): Promise<Owner> {
  const child = Child.python(OWNER, String(bytes), String(flags), String(seals))
  const fd = await child.line()
  const tell = async (line: string): Promise<string> => {
    child.tell(line)
    return child.line()
  }
  return { child, fd, tell }
}

/** As it would come over the side socket: a descriptor of our own for the child's file. */
function received(path: string, flags = fs.constants.O_RDWR): ReceivedFd {
  return new ReceivedFd(fs.openSync(path, flags), 0)
}

function of({ child, fd }: Owner, flags = fs.constants.O_RDWR): GuestMemoryFile {
  const memory = openReceivedMemory(received(`/proc/${child.pid}/fd/${fd}`, flags))
  if (memory instanceof MemoryProblem) throw new Error(memory.problem)
  const close = memory.close.bind(memory)
  let open = true
  memory.close = () => {
    open = false
    close()
  }
  onTestFinished(() => {
    if (open) memory.close()
  })
  return memory
}

describe('a memfd that is sealed against shrinking', () => {
  test('is mapped: words are read where they are, and exchanged for its owner to see', async () => {
    const vm = await owner(65_536, SEAL.SHRINK)
    const memory = of(vm)
    expect([memory.mapped, memory.bytes]).toEqual([true, 65_536])
    expect(memory.read(8192)).toBe(8193n)
    expect(memory.read(16)).toBe(0n)
    expect(memory.exchange(8192, 8192n, 5n)).toBe(false)
    expect(memory.exchange(8192, 8193n, 0xffff_ffff_ffff_fff0n)).toBe(true)
    expect(await vm.tell('get 8192')).toBe(String(0xffff_ffff_ffff_fff0n))
    await vm.tell('put 16 77')
    expect(memory.read(16)).toBe(77n)
  })

  test('has no word beyond its end, before its start, or between words', async () => {
    const memory = of(await owner(4096 + 4, SEAL.SHRINK))
    expect(memory.bytes).toBe(4096)
    expect(memory.read(4088)).toBe(0n)
    for (const at of [4096, -8, 4, 4092, 2 ** 52]) {
      expect(memory.read(at)).toBeUndefined()
      expect(memory.exchange(at, 0n, 1n)).toBe(false)
    }
  })

  test('cannot be truncated, and holes in it are zeros', async () => {
    const vm = await owner(65_536, SEAL.SHRINK)
    const memory = of(vm)
    expect(memory.read(0)).toBe(1n)
    expect(await vm.tell('truncate 0')).toBe('error')
    expect(await vm.tell('punch 0 65536')).toBe('done')
    expect(memory.read(0)).toBe(0n)
    expect(memory.exchange(0, 0n, 9n)).toBe(true)
    expect(await vm.tell('get 0')).toBe('9')
  })

  test.each([
    ['F_SEAL_WRITE', SEAL.WRITE],
    ['F_SEAL_FUTURE_WRITE', SEAL.FUTURE_WRITE],
  ])('and with %s against writing, is only read', async (_name, seal) => {
    const vm = await owner(8192, SEAL.SHRINK | seal)
    const memory = of(vm)
    expect(memory.read(0)).toBe(1n)
    expect(memory.exchange(0, 1n, 2n)).toBe(false)
    expect(await vm.tell('get 0')).toBe('1')
  })

  test('and opened for reading only, is only read', async () => {
    const memory = of(await owner(8192, SEAL.SHRINK), fs.constants.O_RDONLY)
    expect([memory.mapped, memory.read(0), memory.exchange(0, 1n, 2n)]).toEqual([true, 1n, false])
  })

  test('of many GiB is never resident beyond what was read, and few windows are mapped', async () => {
    const windows = 300
    const memory = of(await owner(windows * WINDOW_BYTES, SEAL.SHRINK))
    const before = process.memoryUsage().rss
    for (let i = 0; i < windows; i += 1) {
      expect(memory.exchange(i * GIB + 4096, 0n, BigInt(i + 1))).toBe(true)
    }
    for (let i = windows - 1; i >= 0; i -= 1)
      expect(memory.read(i * GIB + 4096)).toBe(BigInt(i + 1))
    expect(windowsMapped()).toBeLessThanOrEqual(256)
    expect(process.memoryUsage().rss - before).toBeLessThan(256 * 2 ** 20)
    memory.close()
    expect(windowsMapped()).toBe(0)
  })

  test('that is sealed afterwards stays as it was taken', async () => {
    const vm = await owner(8192)
    const memory = of(vm)
    expect(await vm.tell(`seal ${SEAL.SHRINK | SEAL.WRITE}`)).toBe('done')
    expect([memory.mapped, memory.read(0), memory.exchange(0, 1n, 2n)]).toEqual([false, 1n, false])
  })
})

describe('a memfd that is not sealed', () => {
  test('is read by the word; what is cut off is no word, and comes back', async () => {
    const vm = await owner(65_536)
    const memory = of(vm)
    expect([memory.mapped, memory.read(8192)]).toEqual([false, 8193n])
    expect(memory.exchange(8192, 8193n, 3n)).toBe(true)
    await vm.tell('truncate 8196')
    expect([memory.read(8184), memory.read(8192), memory.read(16_384)]).toEqual([
      0n,
      undefined,
      undefined,
    ])
    expect(memory.exchange(8192, 3n, 4n)).toBe(false)
    await vm.tell('truncate 65536')
    expect(memory.read(8192)).toBe(3n)
  })

  test('is cut off and grown without end while it is read: every answer is a word or none', async () => {
    const child = Child.python(`
      fd = os.memfd_create('guest', 2)
      os.ftruncate(fd, 1 << 20)
      say(fd)
      hear()
      while True:
        os.ftruncate(fd, 0)
        os.ftruncate(fd, 1 << 20)
        os.pwrite(fd, b'\\x11' * 4096, 1 << 19)
    `)
    const memory = openReceivedMemory(received(`/proc/${child.pid}/fd/${await child.line()}`))
    if (memory instanceof MemoryProblem) throw new Error(memory.problem)
    // From now on: how long it is, was looked at when it was opened.
    child.tell('go')
    const seen = new Set<bigint | undefined>()
    await until(() => {
      for (let i = 0; i < 2000; i += 1) {
        seen.add(memory.read(2 ** 19))
        memory.exchange(2 ** 19, 0n, 0x2222_2222_2222_2222n)
      }
      return seen.has(undefined) && seen.size >= 3
    })
    const words = [undefined, 0n, 0x1111_1111_1111_1111n, 0x2222_2222_2222_2222n]
    expect([...seen].filter((word) => !words.includes(word))).toEqual([])
    memory.close()
  })

  test('of 2^63 - 1 bytes is taken, as far as numbers go', async () => {
    const child = Child.python(`
      fd = os.memfd_create('guest', 2)
      os.ftruncate(fd, (1 << 63) - 1)
      say(fd)
      hear()
    `)
    const memory = openReceivedMemory(received(`/proc/${child.pid}/fd/${await child.line()}`))
    if (memory instanceof MemoryProblem) throw new Error(memory.problem)
    expect([memory.bytes, memory.read(2 ** 52 - 8), memory.read(2 ** 52)]).toEqual([
      2 ** 52,
      0n,
      undefined,
    ])
    memory.close()
  })
})

test('huge pages are read by the word, not mapped', async (ctx) => {
  const free = /^HugePages_Free:\s+(\d+)/m.exec(fs.readFileSync('/proc/meminfo', 'utf8'))?.[1]
  ctx.skip(free === undefined, 'this kernel has no huge pages')
  const vm = await owner(2 ** 21, SEAL.SHRINK, MFD_ALLOW_SEALING | MFD_HUGETLB)
  const memory = of(vm)
  expect([memory.mapped, memory.read(0), memory.exchange(0, 0n, 1n)]).toEqual([false, 0n, false])
})

describe('what is no memory', () => {
  const O_PATH = 0o10000000
  const cases: [string, () => ReceivedFd, RegExp][] = [
    ['a device', () => received('/dev/zero'), /a character device/],
    ['a directory', () => received(import.meta.dirname, fs.constants.O_RDONLY), /a directory/],
    ['a file on disk', () => received(import.meta.filename, 0), /neither a memfd nor on tmpfs/],
    ['a file of /proc', () => received('/proc/self/mem', 0), /neither a memfd nor on tmpfs/],
    ['a path', () => received(import.meta.filename, O_PATH), /O_PATH/],
    ['a pidfd', () => new ReceivedFd(native.pidfdOpen(process.pid), 0), /it is/],
    [
      'a socket',
      () => new ReceivedFd(native.seqpacketListen(`${temporaryFolder()}/s`, 1), 0),
      /socket/,
    ],
  ]
  test.each(cases)('is refused by its kind: %s', async (_name, make, expected) => {
    const before = openFds()
    const refused = openReceivedMemory(make())
    expect(refused).toBeInstanceOf(MemoryProblem)
    if (refused instanceof MemoryProblem) {
      expect(refused.problem).toMatch(expected)
      expect(refused.remedy).toMatch('memfd')
    }
    await until(() => openFds() <= before)
  })

  test('is refused: a pipe, and a memfd that can only be written', async () => {
    const vm = await owner(4096)
    const piper = Child.python('say(os.pipe()[0]); hear()')
    const end = `/proc/${piper.pid}/fd/${await piper.line()}`
    const pipe = openReceivedMemory(received(end, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK))
    expect(pipe).toMatchObject({ problem: 'it is a pipe' })
    const writeOnly = received(`/proc/${vm.child.pid}/fd/${vm.fd}`, fs.constants.O_WRONLY)
    expect(openReceivedMemory(writeOnly)).toMatchObject({
      problem: 'it was opened for writing only',
    })
  })
})

test('memory outlives its owner, and every descriptor is closed in the end', async () => {
  const before = openFds()
  const vm = await owner(8192, SEAL.SHRINK)
  const path = `/proc/${vm.child.pid}/fd/${vm.fd}`
  const memory = openReceivedMemory(received(path))
  if (memory instanceof MemoryProblem) throw new Error(memory.problem)
  await vm.child.kill()
  expect(memory.read(0)).toBe(1n)
  memory.close()
  await until(() => openFds() === before)
})

describe("an operator's path", () => {
  test('of a regular file is read and written by the word', () => {
    const path = `${temporaryFolder()}/image`
    fs.writeFileSync(path, Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3]))
    const memory = openMemoryPath(path)
    if (memory instanceof MemoryProblem) throw new Error(memory.problem)
    expect([memory.bytes, memory.mapped]).toEqual([16, false])
    expect([memory.read(0), memory.read(8), memory.read(16)]).toEqual([1n, 2n, undefined])
    expect(memory.exchange(8, 2n, 7n)).toBe(true)
    expect(fs.readFileSync(path)[8]).toBe(7)
    memory.close()
  })

  test('of anything else is refused, unopened', () => {
    const folder = temporaryFolder()
    fs.writeFileSync(`${folder}/file`, '')
    fs.symlinkSync(`${folder}/file`, `${folder}/link`)
    for (const path of [folder, '/dev/zero', `${folder}/link`]) {
      expect(openMemoryPath(path)).toMatchObject({ problem: `${path} is no regular file` })
    }
    expect(openMemoryPath(`${folder}/none`)).toMatchObject({
      problem: `${folder}/none: lstat: ENOENT`,
    })
  })
})
