/** Watches of real descriptors: until stopped, for once, and as the process ends. */
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { SyscallFailure } from '../../src/linux/errno.js'
import { FdMisuse, OwnedFd } from '../../src/linux/owned-fd.js'
import { ReadableOnce, ReadableWatch } from '../../src/linux/readable.js'
import { LinuxCopy, temporaryFolder, turns, until } from '../native/children.js'

/** Other programs start here: on a busy machine more than a unit test is given otherwise. */
vi.setConfig({ testTimeout: 120_000 })

/** A pipe that is readable once something is written to the same descriptor. */
function fifo(): OwnedFd {
  const path = `${temporaryFolder()}/fifo`
  execFileSync('mkfifo', [path])
  const fd = new OwnedFd(fs.openSync(path, 'r+'), 'a pipe')
  onTestFinished(() => fd.close())
  return fd
}

function started<T extends object>(watch: T | SyscallFailure): T {
  if (watch instanceof SyscallFailure) throw new Error(watch.toString())
  return watch
}

test('a watch calls as long as there is something to read, until it is stopped', async () => {
  const pipe = fifo()
  let calls = 0
  const watch = started(ReadableWatch.start(pipe.number, true, () => calls++))
  await turns(20)
  expect(calls).toBe(0)
  fs.writeSync(pipe.number, 'x')
  await until(() => calls > 2)
  watch.stop()
  const before = calls
  await turns(20)
  expect(calls).toBe(before)
  expect(() => watch.stop()).toThrow(FdMisuse)
})

describe('a watch for once', () => {
  test('calls once, though there is more to read, and can be had again', async () => {
    const pipe = fifo()
    let calls = 0
    const watch = started(ReadableOnce.start(pipe.number, true, () => calls++))
    fs.writeSync(pipe.number, 'x')
    await until(() => calls > 0)
    await turns(20)
    expect(calls).toBe(1)
    watch.stop()
    watch.stop()
    // Also from within its own call.
    const again = () => started(ReadableOnce.start(pipe.number, true, () => calls++))
    started(
      ReadableOnce.start(pipe.number, true, () => {
        calls++
        again()
      }),
    )
    await until(() => calls > 2)
    await turns(20)
    expect(calls).toBe(3)
  })
  test('never calls once it was stopped', async () => {
    const pipe = fifo()
    let calls = 0
    const watch = started(ReadableOnce.start(pipe.number, true, () => calls++))
    fs.writeSync(pipe.number, 'x')
    watch.stop()
    await turns(20)
    expect(calls).toBe(0)
  })
  test('is refused as a value for what cannot be watched', () => {
    const file = new OwnedFd(fs.openSync(`${temporaryFolder()}/file`, 'w+'), 'a file')
    onTestFinished(() => file.close())
    const failure = new SyscallFailure('epoll_ctl', 'EPERM')
    expect(ReadableOnce.start(file.number, true, () => undefined)).toEqual(failure)
  })
})

test.each(['a watch', 'a call'])(
  '%s that comes as the process ends harms nothing',
  async (what) => {
    // After the exit handlers the loop turns a last time, when no JavaScript runs any more.
    const body = `
    import fs from 'node:fs'
    import { execFileSync } from 'node:child_process'
    import { ReadableWatch } from './src/linux/readable.js'
    import { LinuxCallThread } from './src/linux/call-thread.js'
    const fds = ['watched', 'told'].map((name) => {
      execFileSync('mkfifo', [name], { cwd: process.env.FOLDER })
      return fs.openSync(process.env.FOLDER + '/' + name, 'r+')
    })
    const [watched, told] = fds
    if (process.env.WHAT === 'a watch') {
      ReadableWatch.start(watched, false, () => console.log('called'))
    }
    const thread = LinuxCallThread.start('ends')
    process.on('exit', () => {
      fs.writeSync(watched, 'x')
      if (process.env.WHAT === 'a call') {
        thread.read(watched, 1).then(() => console.log('called'))
        thread.write(told, Buffer.from('done')).then(() => console.log('called'))
        fs.readSync(told, Buffer.alloc(4))
      }
      fs.writeSync(1, 'ends\\n')
    })
  `
    const copy = new LinuxCopy()
    const child = copy.run(body, { env: { FOLDER: copy.folder, WHAT: what } })
    expect(await child.line()).toBe('ends')
    await expect(child.line()).rejects.toThrow('no more output')
    await child.ended()
    expect([child.process.exitCode, child.process.signalCode]).toEqual([0, null])
  },
)
