/** Which descriptors are character devices, and which device; memory behind a descriptor. */
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { native } from '../../src/linux/addon.js'
import { deviceFacts, isCharacterDevice, openDevice } from '../../src/linux/char-device.js'
import { SyscallFailure } from '../../src/linux/errno.js'
import { createMemfd } from '../../src/linux/memfd.js'
import { OwnedFd } from '../../src/linux/owned-fd.js'
import { ReceivedFd } from '../../src/linux/received-fd.js'
import { openFds, temporaryFolder } from '../native/children.js'

/** Another program starts here: on a busy machine more than a unit test is given otherwise. */
vi.setConfig({ testTimeout: 120_000 })

const O_PATH = 0o10000000
const { O_RDONLY, O_WRONLY, O_RDWR, O_NONBLOCK } = fs.constants
const O_ACCMODE = 0o3
/** /dev/null of Documentation/admin-guide/devices.txt. */
const NULL_NUMBER = { major: 1, minor: 3 }

function opened<T extends OwnedFd>(fd: T | SyscallFailure): T {
  if (fd instanceof SyscallFailure) throw new Error(fd.toString())
  onTestFinished(() => {
    if (fd.isOpen) fd.close()
  })
  return fd
}

function factsOf(fd: OwnedFd) {
  const facts = deviceFacts(fd)
  if (facts === undefined) throw new Error(`descriptor ${fd.number} cannot be looked at`)
  return facts
}

describe('a character device', () => {
  test.each([O_RDONLY, O_WRONLY, O_RDWR])('is known by its number, opened with %i', (how) => {
    const facts = factsOf(opened(new OwnedFd(fs.openSync('/dev/null', how), 'null')))
    expect(facts).toMatchObject(NULL_NUMBER)
    expect(isCharacterDevice(facts)).toBe(true)
    expect(facts.flags & O_ACCMODE).toBe(how)
  })
  test('is none when it was opened as a path only', () => {
    const facts = factsOf(opened(new OwnedFd(fs.openSync('/dev/null', O_PATH), 'null')))
    expect(facts).toMatchObject(NULL_NUMBER)
    expect(facts.flags & O_PATH).toBe(O_PATH)
    expect(isCharacterDevice(facts)).toBe(false)
  })
  test('is none of the other kinds of files, which have no number', () => {
    const folder = temporaryFolder()
    fs.writeFileSync(`${folder}/file`, '')
    execFileSync('mkfifo', [`${folder}/fifo`])
    const others = [
      fs.openSync(folder, O_RDONLY),
      fs.openSync(`${folder}/file`, O_RDWR),
      fs.openSync(`${folder}/fifo`, O_RDWR),
      native.seqpacketListen(`${folder}/side`, 1),
      native.pidfdOpen(process.pid),
      native.memfdCreate('memory'),
    ]
    for (const number of others) {
      const facts = factsOf(opened(new OwnedFd(number, 'another file')))
      expect(facts).toMatchObject({ major: 0, minor: 0 })
      expect(isCharacterDevice(facts)).toBe(false)
    }
  })
  test('is seen on a descriptor that was received, and nothing on one that is gone', () => {
    const received = new ReceivedFd(fs.openSync('/dev/null', O_RDWR), 0)
    expect(received.deviceFacts()).toMatchObject(NULL_NUMBER)
    received.close()
    expect(deviceFacts({ number: -1 })).toBeUndefined()
  })
  test('is opened by its path, for both ways, and not inherited', () => {
    const fd = opened(openDevice('/dev/null'))
    const facts = factsOf(fd)
    expect(facts).toMatchObject(NULL_NUMBER)
    expect(facts.flags & (O_ACCMODE | O_NONBLOCK)).toBe(O_RDWR | O_NONBLOCK)
    const info = fs.readFileSync(`/proc/self/fdinfo/${fd.number}`, 'utf8')
    expect(Number.parseInt(/^flags:\s*(\d+)/m.exec(info)?.[1] ?? '', 8) & 0o2000000).not.toBe(0)
  })
  test('is not opened where there is none, and nothing is left open', () => {
    const folder = temporaryFolder()
    fs.writeFileSync(`${folder}/file`, '')
    execFileSync('mkfifo', [`${folder}/fifo`])
    const before = openFds()
    for (const [name, errno] of [
      ['nothing', 'ENOENT'],
      ['file', 'ENODEV'],
      ['fifo', 'ENODEV'],
      ['.', 'EISDIR'],
      ['file/below', 'ENOTDIR'],
    ] as const) {
      const path = `${folder}/${name}`
      expect(openDevice(path)).toEqual(new SyscallFailure(`open ${path}`, errno))
    }
    expect(openFds()).toBe(before)
  })
})

describe('a memfd', () => {
  test('holds what was written, has its name, and is not inherited', () => {
    const memory = opened(createMemfd('what is attached'))
    fs.writeSync(memory.number, 'device-1', 0)
    expect(fs.readlinkSync(`/proc/self/fd/${memory.number}`)).toMatch(/^\/memfd:what is attached/)
    const again = opened(new OwnedFd(fs.openSync(`/proc/self/fd/${memory.number}`, 'r'), 'memory'))
    expect(fs.readFileSync(again.number, 'utf8')).toBe('device-1')
    const info = fs.readFileSync(`/proc/self/fdinfo/${memory.number}`, 'utf8')
    expect(Number.parseInt(/^flags:\s*(\d+)/m.exec(info)?.[1] ?? '', 8) & 0o2000000).not.toBe(0)
  })
  test('has no name that is too long', () => {
    expect(opened(createMemfd('n'.repeat(249))).isOpen).toBe(true)
    expect(createMemfd('n'.repeat(250))).toEqual(new SyscallFailure('memfd_create', 'EINVAL'))
  })
})
