/** The probe of recorded owners: every row of its table, on real processes. */
import fs from 'node:fs'
import os from 'node:os'
import { describe, expect, test, vi } from 'vitest'
import { SyscallFailure } from '../../src/linux/errno.js'
import { probe, type RecordedProcess } from '../../src/linux/liveness.js'
import { pidNamespace } from '../../src/linux/ourselves.js'
import { Pidfd } from '../../src/linux/pidfd.js'
import { startTimeOf } from '../../src/linux/process.js'
import { Child, isRoot, LinuxCopy, mayUnshare, openFds, preloaded } from '../native/children.js'

/** Other processes start here: on a busy machine more than a unit test is given otherwise. */
vi.setConfig({ testTimeout: 120_000 })

/** As a daemon would write it down. */
function record(pid: number): RecordedProcess {
  const pidfd = Pidfd.open(pid)
  if (pidfd instanceof SyscallFailure) throw new Error(pidfd.toString())
  const { inode } = pidfd
  pidfd.close()
  return { pid, inode, startTime: startTimeOf(pid) ?? '', pidNamespace: pidNamespace() }
}

/** One that is reaped by now. */
async function recordOfDead(): Promise<RecordedProcess> {
  const child = Child.sleeper()
  const owner = record(child.pid)
  await child.kill()
  return owner
}

const withoutInode = (owner: RecordedProcess): RecordedProcess => ({ ...owner, inode: '' })

/** The file handles of pidfs: Linux 6.14. */
const [major = 0, minor = 0] = os.release().split('.').map(Number)
const HAS_PROOF = major > 6 || (major === 6 && minor >= 14)
const PROOF = HAS_PROOF ? 'DEAD_PROVEN' : 'DEAD_INFERRED'

describe('an owner that runs', () => {
  test('is alive, by inode or by start time', () => {
    const owner = record(Child.sleeper().pid)
    expect(probe(owner)).toBe('ALIVE')
    expect(probe(withoutInode(owner))).toBe('ALIVE')
  })
  test('is unknown without anything to compare', () => {
    const owner = record(Child.sleeper().pid)
    expect(probe({ ...owner, inode: '', startTime: '' })).toBe('UNKNOWN')
  })
  test('is unknown when it was written down in another pid namespace', () => {
    const owner = record(Child.sleeper().pid)
    expect(probe({ ...owner, pidNamespace: '4026532999' })).toBe('UNKNOWN')
  })
})

describe('an owner that has ended', () => {
  test('is proven dead once it is reaped, also while somebody holds a pidfd of it', async () => {
    const child = Child.sleeper()
    const owner = record(child.pid)
    const held = Pidfd.open(child.pid)
    await child.kill()
    expect(probe(owner)).toBe(PROOF)
    if (held instanceof Pidfd) held.close()
    expect(probe(owner)).toBe(PROOF)
  })
  test('is only inferred to be dead without its inode', async () => {
    expect(probe(withoutInode(await recordOfDead()))).toBe('DEAD_INFERRED')
  })
  test('is proven dead as a zombie', async () => {
    const parent = Child.python(`
      pid = os.fork()
      if pid == 0:
        signal.pause()
      say(pid)
      hear()
      os.kill(pid, signal.SIGKILL)
      os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
      say('zombie')
      hear()
    `)
    const owner = record(Number(await parent.line()))
    parent.tell('kill')
    await parent.line()
    expect(probe(owner)).toBe('DEAD_PROVEN')
    expect(probe(withoutInode(owner))).toBe('DEAD_PROVEN')
  })
})

const LAST_PID = '/proc/sys/kernel/ns_last_pid'

function mayChoosePids(): boolean {
  try {
    fs.accessSync(LAST_PID, fs.constants.W_OK)
    return isRoot
  } catch {
    return false
  }
}

/** A new process with this very number. Others start processes too: it takes luck, and tries. */
async function startAs(pid: number): Promise<Child | undefined> {
  for (let tries = 0; tries < 200; tries++) {
    fs.writeFileSync(LAST_PID, String(pid - 1))
    const child = Child.sleeper()
    if (child.pid === pid) return child
    await child.kill()
  }
  return undefined
}

describe("a number that is another's now", () => {
  test('is no life sign: by inode proven, by start time inferred', async (context) => {
    if (!mayChoosePids()) context.skip(`${LAST_PID} cannot be written here`)
    const child = Child.sleeper()
    const owner = record(child.pid)
    // Start times count hundredths of a second.
    await new Promise((resolve) => setTimeout(resolve, 50))
    await child.kill()
    const other = await startAs(owner.pid)
    if (other === undefined) context.skip('other processes took the number in each of 200 tries')
    const successor = record(owner.pid)
    expect(successor.inode).not.toBe(owner.inode)
    expect(probe(owner)).toBe('DEAD_PROVEN')
    expect(probe(withoutInode(owner))).toBe('DEAD_INFERRED')
    expect(probe(successor)).toBe('ALIVE')
  })
  test('proves nothing by itself when it is that of a thread', async () => {
    const tid = fs
      .readdirSync('/proc/self/task')
      .map(Number)
      .find((each) => each !== process.pid)
    const owner = { ...(await recordOfDead()), pid: tid ?? 0 }
    expect(probe(owner)).toBe(HAS_PROOF ? 'DEAD_PROVEN' : 'UNKNOWN')
    expect(probe(withoutInode(owner))).toBe('UNKNOWN')
    expect(probe({ ...record(process.pid), pid: tid ?? 0 })).toBe('UNKNOWN')
  })
})

/** Fails the calls that prove a death by inode, as kernels and policies do. */
const SHIM = `
  #include <cerrno>
  #include <cstdlib>
  #include <fcntl.h>
  extern "C" int open_by_handle_at(int, file_handle *, int) {
    errno = atoi(getenv("FAIL_HANDLES"));
    return -1;
  }
  extern "C" int name_to_handle_at(int, const char *, file_handle *, int *, int) {
    errno = atoi(getenv("FAIL_HANDLES"));
    return -1;
  }
`
/** ESTALE for each, and handles made: what a filesystem without them says. */
const SHIM_OF_STALE = `
  #include <cerrno>
  #include <fcntl.h>
  extern "C" int open_by_handle_at(int, file_handle *, int) { errno = ESTALE; return -1; }
`
const PROBE = `
  import { probe } from './src/linux/liveness.js'
  console.log(JSON.parse(process.env.OWNERS).map(probe).join(' '))
`

describe('with the proof taken away', () => {
  const { errno } = os.constants
  test('a death is inferred, and a life still seen', async () => {
    const shim = preloaded(SHIM)
    const copy = new LinuxCopy()
    const child = Child.sleeper()
    const living = record(child.pid)
    const dead = await recordOfDead()
    for (const code of [errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.ESTALE]) {
      const env = { ...shim, FAIL_HANDLES: String(code), OWNERS: JSON.stringify([dead, living]) }
      expect(await copy.run(PROBE, { env }).line()).toBe('DEAD_INFERRED ALIVE')
    }
  })
  test('a kernel that calls every handle stale proves nothing', async () => {
    const env = { ...preloaded(SHIM_OF_STALE), OWNERS: JSON.stringify([await recordOfDead()]) }
    expect(await new LinuxCopy().run(PROBE, { env }).line()).toBe('DEAD_INFERRED')
  })
})

describe('what the probe cannot tell', () => {
  test('without a descriptor left is unknown', async () => {
    const owner = await recordOfDead()
    const body = `
      import fs from 'node:fs'
      import { probe } from './src/linux/liveness.js'
      const owner = JSON.parse(process.env.OWNER)
      const before = probe(owner)
      const held = []
      try { while (true) held.push(fs.openSync('/dev/null')) } catch {}
      const during = [probe(owner), probe({ ...owner, pid: process.pid })]
      for (const fd of held) fs.closeSync(fd)
      console.log([before, ...during, probe(owner)].join(' '))
    `
    const before = ['sh', '-c', 'ulimit -n 64; exec "$@"', 'sh']
    const child = new LinuxCopy().run(body, { before, env: { OWNER: JSON.stringify(owner) } })
    expect(await child.line()).toBe([PROOF, 'UNKNOWN', 'UNKNOWN', PROOF].join(' '))
  })
  test('in another pid namespace is unknown', async (context) => {
    if (!mayUnshare('--pid', '--fork', '--mount-proc')) {
      context.skip('a pid namespace cannot be made here')
    }
    const before = ['unshare', '--pid', '--fork', '--mount-proc']
    const owner = record(Child.sleeper().pid)
    const env = { OWNERS: JSON.stringify([owner]) }
    expect(await new LinuxCopy().run(PROBE, { before, env }).line()).toBe('UNKNOWN')
  })
})

test('ten thousand probes leave no descriptor open', async () => {
  const owners = [record(process.pid), await recordOfDead(), withoutInode(record(process.pid))]
  const before = openFds()
  const counts = new Map<string, number>()
  for (let i = 0; i < 10_000; i++) {
    const answer = probe(owners[i % owners.length]!)
    counts.set(answer, (counts.get(answer) ?? 0) + 1)
  }
  expect(openFds()).toBe(before)
  expect(counts).toEqual(
    new Map([
      ['ALIVE', 6667],
      [PROOF, 3333],
    ]),
  )
})
