/** Call threads on real descriptors: what they carry out, and what a stuck one leaves alone. */
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { CallThread } from '../../src/backend/vfio/ports.js'
import { native } from '../../src/linux/addon.js'
import { DATA_BYTES_MAX, LinuxCallThread } from '../../src/linux/call-thread.js'
import { SyscallFailure } from '../../src/linux/errno.js'
import { OwnedFd } from '../../src/linux/owned-fd.js'
import { LinuxCopy, openFds, preloaded, temporaryFolder, turns, until } from '../native/children.js'

/** Other processes start here: on a busy machine more than a unit test is given otherwise. */
vi.setConfig({ testTimeout: 120_000 })

const { EBADF, ECANCELED, ENOBUFS, ENOTTY } = os.constants.errno
/** include/uapi/asm-generic/ioctls.h, include/uapi/linux/sockios.h, include/uapi/linux/ethtool.h. */
const FIONREAD = 0x541b
const SIOCETHTOOL = 0x8946
const ETHTOOL_GLINK = 0x0a
/** VFIO_DEVICE_ATTACH_IOMMUFD_PT: no file here knows it. */
const UNKNOWN_REQUEST = 0x3b77
const WAITING_MAX = 4096

function started(name = 'test'): LinuxCallThread {
  const thread = LinuxCallThread.start(name)
  if (thread instanceof SyscallFailure) throw new Error(thread.toString())
  onTestFinished(() => thread.end())
  return thread
}

/** A pipe whose reads wait until something is written to the same descriptor. */
function fifo(): OwnedFd {
  const path = `${temporaryFolder()}/fifo`
  execFileSync('mkfifo', [path])
  return owned(path, 'r+')
}

function owned(path: string, how: string): OwnedFd {
  const fd = new OwnedFd(fs.openSync(path, how), path)
  onTestFinished(() => {
    if (fd.isOpen) fd.close()
  })
  return fd
}

/** A file of each thread of ours; none of one that is over by now. */
function ofThreads(file: string): string[] {
  return fs.readdirSync('/proc/self/task').flatMap((tid) => {
    try {
      return [fs.readFileSync(`/proc/self/task/${tid}/${file}`, 'utf8')]
    } catch {
      return []
    }
  })
}

/** Threads of ours with the name. */
function threads(name: string): number {
  return ofThreads('comm').filter((other) => other === `${name}\n`).length
}

function linkOf(fd: number): string {
  try {
    return fs.readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return 'closed'
  }
}

/** The descriptor of ours on a file whose path ends so. */
function fdOf(ending: string): number {
  return (
    fs
      .readdirSync('/proc/self/fd')
      .map(Number)
      .find((fd) => linkOf(fd).endsWith(ending)) ?? -1
  )
}

/** Whether the thread of this name sleeps; proc_pid_stat(5): pid, (name), state. */
function isWaiting(name: string): boolean {
  return ofThreads('stat').some((stat) => stat.includes(` (${name}) S `))
}

function nulls(): number {
  const links = fs.readdirSync('/proc/self/fd').map((fd) => linkOf(Number(fd)))
  return links.filter((link) => link === '/dev/null').length
}

const NULLS_OF_OTHERS = nulls()

/** Descriptors open when no thread of an earlier test has its own any more. */
async function fdsAtRest(): Promise<number> {
  await until(() => nulls() === NULLS_OF_OTHERS)
  return openFds()
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()

describe('a call', () => {
  test('is made on a copy, and answers what the kernel left there', async () => {
    const pipe = fifo()
    const thread: CallThread = started()
    const bytes = Buffer.alloc(4)
    expect(await thread.write(pipe.number, Buffer.from('seven!!'))).toEqual({ code: 7 })
    const end = await thread.ioctl({ fd: pipe.number, request: FIONREAD, bytes })
    expect(end.code).toBe(0)
    expect([...end.bytes]).toEqual([7, 0, 0, 0])
    expect(end.data).toHaveLength(0)
    expect(bytes.readUInt32LE()).toBe(0)
    const read = await thread.read(pipe.number, 100)
    expect({ code: read.code, text: text(read.data) }).toEqual({ code: 7, text: 'seven!!' })
  })
  test('reaches through the pointer of its structure, which comes back as it was', async () => {
    const socket = new OwnedFd(native.seqpacketListen(`${temporaryFolder()}/side`, 1), 'a socket')
    onTestFinished(() => socket.close())
    // struct ifreq: a name of 16 bytes, then the pointer; struct ethtool_value: cmd, data.
    const bytes = Buffer.alloc(40)
    bytes.write('lo')
    bytes.fill(0xee, 16, 24)
    const data = Buffer.alloc(8, 0xff)
    data.writeUInt32LE(ETHTOOL_GLINK)
    const call = { fd: socket.number, request: SIOCETHTOOL, bytes, pointer: { at: 16, data } }
    const end = await started().ioctl(call)
    expect(end.code).toBe(0)
    expect([0, 1]).toContain(Buffer.from(end.data).readUInt32LE(4))
    expect(data.readUInt32LE(4)).toBe(0xffff_ffff)
    expect([...end.bytes.subarray(16, 24)]).toEqual([...bytes.subarray(16, 24)])
  })
  test('that fails answers with minus errno, and nothing read', async () => {
    const thread = started()
    const zero = owned('/dev/zero', 'r+')
    const bytes = Buffer.from('as it was')
    const end = await thread.ioctl({ fd: zero.number, request: UNKNOWN_REQUEST, bytes })
    expect([end.code, text(end.bytes)]).toEqual([-ENOTTY, 'as it was'])
    const none = await thread.ioctl({ fd: -1, request: UNKNOWN_REQUEST, bytes: new Uint8Array() })
    expect(none.code).toBe(-EBADF)
    expect(await thread.read(-1, 10)).toEqual({ code: -EBADF, data: new Uint8Array() })
    expect(await thread.write(-1, Buffer.from('x'))).toEqual({ code: -EBADF })
  })
  test('carries as much as one may, and not a byte more', async () => {
    const thread = started()
    const zero = owned('/dev/zero', 'r+')
    const whole = new Uint8Array(DATA_BYTES_MAX)
    expect((await thread.read(zero.number, DATA_BYTES_MAX)).data).toEqual(whole)
    expect(await thread.write(zero.number, whole)).toEqual({ code: DATA_BYTES_MAX })
    const more = new Uint8Array(DATA_BYTES_MAX + 1)
    const of = { fd: zero.number, request: UNKNOWN_REQUEST, bytes: new Uint8Array(16) }
    const wrong = [
      thread.read(zero.number, more.length),
      thread.read(zero.number, -1),
      thread.write(zero.number, more),
      thread.ioctl({ ...of, bytes: new Uint8Array(4097) }),
      thread.ioctl({ ...of, request: 2 ** 32 }),
      thread.ioctl({ ...of, pointer: { at: 0, data: more } }),
      thread.ioctl({ ...of, pointer: { at: 9, data: whole } }),
      thread.ioctl({ ...of, pointer: { at: -1, data: whole } }),
    ]
    for (const call of wrong) await expect(call).rejects.toThrow(RangeError)
    expect((await thread.ioctl({ ...of, pointer: { at: 8, data: whole } })).code).toBe(-ENOTTY)
  })
  test('comes in its turn, a close too', async () => {
    const pipe = fifo()
    const thread = started()
    const fd = pipe.number
    const ends: string[] = []
    const note = (what: string) => (end: { readonly code: number }) =>
      ends.push(`${what} ${end.code}`)
    await Promise.all([
      thread.write(fd, Buffer.from('abc')).then(note('write')),
      thread.read(fd, 2).then(note('read')),
      thread.read(fd, 2).then(note('read')),
      thread.close(pipe).then(note('close')),
    ])
    expect(ends).toEqual(['write 3', 'read 2', 'read 1', 'close 0'])
    expect(pipe.isOpen).toBe(false)
    expect(linkOf(fd)).not.toMatch(/fifo/)
  })
})

describe('a thread', () => {
  test('has its name, as far as the kernel keeps it', async () => {
    const thread = started('vfio-0000:00:03.0')
    await thread.read(-1, 1)
    expect(threads('vfio-0000:00:03')).toBe(1)
  })
  test('carries out what waits when it is ended, then is over and leaves nothing', async () => {
    const before = await fdsAtRest()
    const pipe = fifo()
    const thread = started('test-ends')
    const stuck = thread.read(pipe.number, 1)
    const written = thread.write(pipe.number, Buffer.from('after'))
    const closed = thread.close(pipe)
    thread.end()
    thread.end()
    expect(await thread.write(1, Buffer.from('never written'))).toEqual({ code: -ECANCELED })
    const other = owned('/dev/null', 'r')
    expect(await thread.close(other)).toEqual({ code: -ECANCELED })
    other.close()
    // By another number: this one was handed over with the close.
    const path = linkOf(pipe.isOpen ? pipe.number : fdOf('fifo'))
    fs.writeFileSync(path, 'x')
    expect((await stuck).code).toBe(1)
    expect([await written, await closed]).toEqual([{ code: 5 }, { code: 0 }])
    await until(() => threads('test-ends') === 0 && openFds() === before)
  })
  test('is refused as a value where there can be no more', async () => {
    const shim = preloaded(`
      #include <cerrno>
      #include <cstdlib>
      #include <dlfcn.h>
      #include <pthread.h>
      extern "C" int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                                    void *(*start)(void *), void *argument) {
        if (getenv("NO_THREADS")) return EAGAIN;
        using F = int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
        return reinterpret_cast<F>(dlsym(RTLD_NEXT, "pthread_create"))(thread, attributes, start,
                                                                       argument);
      }
    `)
    const body = `
      import fs from 'node:fs'
      import { LinuxCallThread } from './src/linux/call-thread.js'
      import { OwnedFd } from './src/linux/owned-fd.js'
      const open = () => fs.readdirSync('/proc/self/fd').length
      const alive = setInterval(() => {}, 1000)
      const thread = LinuxCallThread.start('first')
      await thread.read(-1, 1)
      process.env.NO_THREADS = '1'
      const before = open()
      console.log(String(LinuxCallThread.start('second')), open() - before)
      const fd = new OwnedFd(fs.openSync('/dev/zero', 'r'), 'one to close')
      const closed = thread.abandon([fd]).then(() => console.log('closed when there was one'))
      setTimeout(() => {
        console.log('none for a while')
        delete process.env.NO_THREADS
      }, 1)
      await closed
      clearInterval(alive)
    `
    const child = new LinuxCopy().run(body, { env: shim })
    expect(await child.line()).toBe('pthread_create: EAGAIN 0')
    expect(await child.line()).toBe('none for a while')
    expect(await child.line()).toBe('closed when there was one')
    await child.ended()
    expect(child.process.exitCode).toBe(0)
  })
})

describe('a thread that is stuck', () => {
  test('holds up neither the loop nor another thread, and goes on when its call is back', async () => {
    const pipe = fifo()
    const zero = owned('/dev/zero', 'r')
    const ends: string[] = []
    const stuck = started()
    const read = stuck.read(pipe.number, 10).then(({ data }) => ends.push(`read ${text(data)}`))
    const next = stuck.read(zero.number, 1).then(({ code }) => ends.push(`next ${code}`))
    const other = started()
    for (let i = 0; i < 20; i++) expect((await other.read(zero.number, 8)).code).toBe(8)
    await turns(20)
    expect(ends).toEqual([])
    fs.writeSync(pipe.number, 'at last')
    await Promise.all([read, next])
    expect(ends).toEqual(['read at last', 'next 1'])
  })
  test('lets no more calls wait than its queue holds, and leaves what it refuses', async () => {
    const pipe = fifo()
    const thread = started('test-full')
    const stuck = thread.read(pipe.number, 1)
    // In its first call, which takes no place in the queue then.
    await until(() => isWaiting('test-full'))
    const codes = new Map<number, number>()
    const calls = Array.from({ length: WAITING_MAX + 1 }, async () => {
      const { code } = await thread.write(-1, new Uint8Array(1))
      codes.set(code, (codes.get(code) ?? 0) + 1)
    })
    const other = owned('/dev/null', 'r')
    expect(await thread.close(other)).toEqual({ code: -ENOBUFS })
    expect(linkOf(other.number)).toBe('/dev/null')
    expect(codes.get(-ENOBUFS)).toBe(1)
    fs.writeSync(pipe.number, 'x')
    expect((await stuck).code).toBe(1)
    await Promise.all(calls)
    expect(codes).toEqual(
      new Map([
        [-ENOBUFS, 1],
        [-EBADF, WAITING_MAX],
      ]),
    )
  })
  test('that is abandoned closes at once what it is given, and makes no other call', async () => {
    const before = await fdsAtRest()
    const [pipe, device, queued, file] = [
      fifo(),
      fifo(),
      fifo(),
      owned(`${temporaryFolder()}/f`, 'w+'),
    ]
    const numbers = [pipe.number, device.number, queued.number]
    const writer = owned(linkOf(pipe.number), 'r+')
    const thread = started('test-abandoned')
    const stuck = thread.read(pipe.number, 10)
    await until(() => isWaiting('test-abandoned'))
    const never = thread.write(file.number, Buffer.from('never'))
    const closed = thread.close(queued)
    const abandoned = thread.abandon([pipe, device])
    expect(await never).toEqual({ code: -ECANCELED })
    await abandoned
    expect(await closed).toEqual({ code: 0 })
    // The call under way has its file still; the numbers are not for anybody else yet.
    expect(numbers.map(linkOf)).toEqual(numbers.map(() => '/dev/null'))
    expect(pipe.isOpen || device.isOpen).toBe(false)
    expect(await thread.read(file.number, 1)).toEqual({ code: -ECANCELED, data: new Uint8Array() })
    await thread.abandon([])
    fs.writeSync(writer.number, 'late')
    expect(text((await stuck).data)).toBe('late')
    expect(fs.fstatSync(file.number).size).toBe(0)
    await until(() => threads('test-abandoned') === 0)
    writer.close()
    file.close()
    await until(() => openFds() === before)
    // One that is over is abandoned too: then there is nobody to keep the number from.
    const late = owned('/dev/zero', 'r')
    await thread.abandon([late])
    await until(() => openFds() === before)
  })
  test.each(['by itself', 'by process.exit'])('keeps no process from ending %s', async (how) => {
    const pipe = fifo()
    const body = `
      import fs from 'node:fs'
      import { LinuxCallThread } from './src/linux/call-thread.js'
      const thread = LinuxCallThread.start('stuck')
      const fd = fs.openSync(process.env.FIFO, 'r+')
      thread.read(fd, 1).then(() => console.log('never'))
      thread.write(1, Buffer.from('never')).then(() => console.log('never'))
      process.on('exit', (code) => console.log('ended with', code))
      if (process.env.HOW === 'by process.exit') setImmediate(() => process.exit(0))
    `
    const env = { FIFO: linkOf(pipe.number), HOW: how }
    const child = new LinuxCopy().run(body, { env })
    expect(await child.line()).toBe('ended with 0')
    await child.ended()
    expect(child.process.exitCode).toBe(0)
    expect(child.process.signalCode).toBeNull()
  })
  test('comes back to nobody when the environment that started it is gone', async () => {
    // The worker alone has the addon, so that its end would unload it.
    const copy = new LinuxCopy()
    fs.writeFileSync(
      `${copy.folder}/worker.mjs`,
      `
      import fs from 'node:fs'
      import { parentPort, workerData } from 'node:worker_threads'
      import { LinuxCallThread } from './src/linux/call-thread.js'
      for (const path of workerData.paths) {
        const thread = LinuxCallThread.start('stuck')
        const fd = fs.openSync(path, 'r+')
        thread.read(fd, 1).then(() => console.log('never'))
        thread.ioctl({ fd, request: 0x541b, bytes: new Uint8Array(4) })
        thread.write(fs.openSync(path, 'r+'), Buffer.from('back'))
      }
      parentPort.postMessage('stuck')
      if (workerData.stays) setInterval(() => {}, 1000)
    `,
    )
    const pipes = Array.from({ length: 4 }, () => fifo())
    const body = `
      import { once } from 'node:events'
      import fs from 'node:fs'
      import { Worker } from 'node:worker_threads'
      const paths = JSON.parse(process.env.PATHS)
      for (const stays of [true, false]) {
        const workerData = { paths: paths.splice(0, 2), stays }
        // Its descriptors are not closed with it, so that the calls that waited mean something.
        const options = { workerData, trackUnmanagedFds: false }
        const worker = new Worker(new URL('./worker.mjs', import.meta.url), options)
        const ended = once(worker, 'exit')
        await once(worker, 'message')
        if (stays) await worker.terminate()
        await ended
        for (const path of workerData.paths) {
          const fd = fs.openSync(path, 'r+')
          fs.writeSync(fd, 'x')
          // The thread reads it, and then makes the calls that waited.
          const bytes = Buffer.alloc(4)
          while (fs.readSync(fd, bytes, 0, 1) === 1 && bytes[0] !== 'b'.charCodeAt(0)) {
            fs.writeSync(fd, bytes, 0, 1)
          }
        }
        console.log('came back')
      }
    `
    const child = copy.run(body, {
      env: { PATHS: JSON.stringify(pipes.map((fd) => linkOf(fd.number))) },
    })
    expect(await child.line()).toBe('came back')
    expect(await child.line()).toBe('came back')
    await child.ended()
    expect([child.process.exitCode, child.process.signalCode]).toEqual([0, null])
  })
})
