/** Numbers of descriptors that calls under way mean, on real threads: never another file's. */

import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { DeviceCalls } from '../../src/backend/vfio/device-calls.js'
import { closeApart, HeldFd } from '../../src/backend/vfio/held-fd.js'
import { closeDevice } from '../../src/backend/vfio/held-device.js'
import { linuxKernel } from '../../src/backend/vfio/linux-kernel.js'
import { SessionThreads } from '../../src/backend/vfio/threads.js'
import { OwnedFd } from '../../src/linux/owned-fd.js'
import { FakeKernel } from '../support/vfio-fake-kernel.js'
import { RigClock } from '../support/broker-rig-clock.js'
import { LinuxCopy } from '../native/children.js'

/** Another process starts here. */
vi.setConfig({ testTimeout: 120_000 })

const DEADLINE_MS = 1000
/** Its number. */
const READ = process.arch === 'arm64' ? '63' : '0'

let folder = ''
const open: number[] = []
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'vfio-descriptors-'))
})
afterEach(() => {
  for (const number of open.splice(0)) fs.closeSync(number)
  fs.rmSync(folder, { recursive: true, force: true })
})

/** Its reads wait until something is written to it. */
function fifo(name: string): number {
  const file = path.join(folder, name)
  execFileSync('mkfifo', [file])
  const number = fs.openSync(file, 'r+')
  open.push(number)
  return number
}

function fileOf(text: string): HeldFd {
  const file = path.join(folder, text)
  fs.writeFileSync(file, text)
  return new HeldFd(new OwnedFd(fs.openSync(file, 'r'), text), text)
}

/** Whoever opens something next gets the lowest number that is free. */
function openOther(): void {
  const file = path.join(folder, 'other')
  fs.writeFileSync(file, 'another file’s')
  for (let i = 0; i < 8; i += 1) open.push(fs.openSync(file, 'r'))
}

function linkOf(number: number): string {
  try {
    return fs.readlinkSync(`/proc/self/fd/${number}`)
  } catch {
    return 'closed'
  }
}

/** How many threads of devices wait in read(2); /proc/PID/task/TID/syscall begins with it. */
function reading(): number {
  return fs.readdirSync('/proc/self/task').filter((tid) => {
    const task = `/proc/self/task/${tid}`
    try {
      const name = fs.readFileSync(`${task}/comm`, 'utf8').trimEnd()
      const [call] = fs.readFileSync(`${task}/syscall`, 'utf8').split(' ')
      return name === 'pasidd-vfio' && call === READ
    } catch {
      return false // it is over by now
    }
  }).length
}

function callsOn(threads: SessionThreads, clock: RigClock): DeviceCalls {
  const watcher = { overdue: () => undefined, returned: () => undefined }
  return new DeviceCalls({
    device: 'd',
    seat: threads.join(),
    clock,
    deadlineMs: DEADLINE_MS,
    watcher,
  })
}

test('a read that waits on a shared thread reads its own file, which is closed after it', async () => {
  const clock = new RigClock()
  const threads = new SessionThreads(linuxKernel, 1)
  const [ours, others] = [callsOn(threads, clock), callsOn(threads, clock)]
  const pipe = fifo('fifo')
  const fd = fileOf('own')
  const { number } = fd
  const busy = others.read(pipe, 1)
  const read = fd.use((each) => ours.read(each, 100))
  const closed = closeApart(linuxKernel, [fd])
  // Long enough for a close that waits for nothing.
  await closeApart(linuxKernel, [fileOf('one more')])
  openOther()
  fs.writeSync(pipe, 'x')
  await busy
  expect(Buffer.from((await read).data).toString()).toBe('own')
  await closed
  expect(fd.isOpen).toBe(false)
  expect(linkOf(number)).toBe('closed')
  ours.end()
  others.end()
})

test('the numbers of a device that is stuck on two threads stay taken until both are back', async () => {
  const clock = new RigClock()
  const calls = callsOn(new SessionThreads(linuxKernel, 2), clock)
  const [first, second] = [fifo('first'), fifo('second')]
  const [cdev, iommufd, queue] = ['cdev', 'iommufd', 'queue'].map(fileOf)
  if (cdev === undefined || iommufd === undefined || queue === undefined) throw new Error('three')
  const numbers = [cdev.number, iommufd.number, queue.number]
  const one = calls.read(first, 1)
  await expect.poll(reading).toBe(1)
  // Its thread is given up, and the next call made on another.
  clock.pass(DEADLINE_MS)
  const two = calls.read(second, 1)
  await expect.poll(reading).toBe(2)
  await closeDevice(linuxKernel, { cdev, iommufd, calls }, [queue])
  expect(numbers.map(linkOf)).toEqual(numbers.map(() => '/dev/null'))
  fs.writeSync(first, 'x')
  await one
  await expect.poll(reading).toBe(1)
  // The thread that was first is over by then.
  await closeApart(linuxKernel, [fileOf('one more')])
  expect(numbers.map(linkOf)).toEqual(numbers.map(() => '/dev/null'))
  fs.writeSync(second, 'x')
  await two
  await expect.poll(() => numbers.map(linkOf)).toEqual(numbers.map(() => 'closed'))
})

test('what must be closed when no thread can be had is closed on one later', async () => {
  const kernel = new FakeKernel()
  const fd = kernel.open({ kind: 'iommufd', context: kernel.newContext() })
  let failing = 3
  kernel.interfere = (call) => {
    if (call !== 'thread' || failing === 0) return undefined
    failing -= 1
    return { code: -os.constants.errno.EMFILE }
  }
  const closed = closeApart(kernel, [fd])
  expect(kernel.openFds).toBe(1)
  await closed
  expect(kernel.calls).toEqual(['thread', 'thread', 'thread', 'thread', 'close'])
  expect(kernel.openFds + kernel.threads).toBe(0)
})

test('a descriptor is closed on a thread of its own without one more being had', async () => {
  const body = `
    import { execFileSync } from 'node:child_process'
    import fs from 'node:fs'
    import { closeOnThread, LinuxCallThread } from './src/linux/call-thread.js'
    import { OwnedFd } from './src/linux/owned-fd.js'
    const alive = setInterval(() => {}, 1000)
    const fd = new OwnedFd(fs.openSync('/dev/zero', 'r'), 'one to close')
    const { number } = fd
    execFileSync('prlimit', ['--pid', String(process.pid), '--nofile=' + number + ':'])
    console.log(String(LinuxCallThread.start('none')))
    await closeOnThread(fd)
    console.log(fd.isOpen, fs.existsSync('/proc/self/fd/' + number))
    clearInterval(alive)
  `
  const child = new LinuxCopy().run(body)
  expect(await child.line()).toMatch(/EMFILE/)
  expect(await child.line()).toBe('false false')
  await child.ended()
  expect(child.process.exitCode).toBe(0)
})
