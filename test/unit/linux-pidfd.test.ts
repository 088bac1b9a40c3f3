/** Pidfds on real processes: what they say of the living, the dead and the reaped. */
import fs from 'node:fs'
import { describe, expect, test, vi } from 'vitest'
import { SyscallFailure } from '../../src/linux/errno.js'
import { FdMisuse } from '../../src/linux/owned-fd.js'
import { Pidfd } from '../../src/linux/pidfd.js'
import { Child, LinuxCopy, openFds, preloaded, turns, until } from '../native/children.js'

/** Other processes start here: on a busy machine more than a unit test is given otherwise. */
vi.setConfig({ testTimeout: 120_000 })

function open(pid: number): Pidfd {
  const pidfd = Pidfd.open(pid)
  if (pidfd instanceof SyscallFailure) throw new Error(pidfd.toString())
  return pidfd
}

/** A process whose child is dead and not reaped until we say so. */
const ZOMBIE_MAKER = `
  pid = os.fork()
  if pid == 0:
    signal.pause()
  say(pid)
  hear()
  os.kill(pid, signal.SIGKILL)
  os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
  say('zombie')
  hear()
  os.waitpid(pid, 0)
  say('reaped')
  hear()
`

describe('the inode', () => {
  test('is the same over opens and over exec, and another for another process', async () => {
    const child = new Child(['sh', '-c', 'read line; exec sleep 1000'])
    const first = open(child.pid)
    const second = open(child.pid)
    const self = open(process.pid)
    child.tell('go on')
    await until(() => fs.readFileSync(`/proc/${child.pid}/comm`, 'utf8') === 'sleep\n')
    const third = open(child.pid)
    expect(first.inode).toMatch(/^\d+$/)
    expect(second.inode).toBe(first.inode)
    expect(third.inode).toBe(first.inode)
    expect(self.inode).not.toBe(first.inode)
    expect(first.ended()).toBe(false)
    for (const pidfd of [first, second, third, self]) pidfd.close()
  })
})

describe('the end of a process', () => {
  test('shows at once after kill and wait, with the signal', async () => {
    const child = Child.sleeper()
    const pidfd = open(child.pid)
    expect(pidfd.ended()).toBe(false)
    expect(pidfd.exitStatus()).toBeUndefined()
    await child.kill()
    expect(pidfd.ended()).toBe(true)
    expect(pidfd.pid()).toBeUndefined()
    // Linux before 6.15 keeps no status.
    expect([{ signal: 9 }, undefined]).toContainEqual(pidfd.exitStatus())
    pidfd.close()
  })
  test('shows with the exit code', async () => {
    const child = new Child(['sh', '-c', 'read line; exit 7'])
    const pidfd = open(child.pid)
    child.tell('end')
    await child.ended()
    expect([{ code: 7 }, undefined]).toContainEqual(pidfd.exitStatus())
    pidfd.close()
  })
  test('shows for a zombie, which still has its number', async () => {
    const parent = Child.python(ZOMBIE_MAKER)
    const pid = Number(await parent.line())
    const pidfd = open(pid)
    expect(pidfd.ended()).toBe(false)
    expect(pidfd.pid()).toBe(pid)
    parent.tell('kill')
    await parent.line()
    expect(pidfd.ended()).toBe(true)
    expect(pidfd.pid()).toBe(pid)
    const late = open(pid)
    expect(late.inode).toBe(pidfd.inode)
    parent.tell('reap')
    await parent.line()
    expect(pidfd.ended()).toBe(true)
    expect(late.pid()).toBeUndefined()
    pidfd.close()
    late.close()
  })
  test('leaves no process to open', async () => {
    const child = Child.sleeper()
    await child.kill()
    expect(Pidfd.open(child.pid)).toEqual(new SyscallFailure('pidfd_open', 'ESRCH'))
  })
})

describe('a callback', () => {
  test('comes once, for a death to come and for one that was', async () => {
    const child = Child.sleeper()
    const pidfd = open(child.pid)
    const calls: string[] = []
    const count = () => calls.push('twice given')
    pidfd.onEnd(count)
    pidfd.onEnd(count)
    await turns()
    expect(calls).toEqual([])
    await child.kill()
    await until(() => calls.length > 0)
    pidfd.onEnd(() => calls.push('late'))
    expect(calls).toEqual(['twice given', 'twice given'])
    await until(() => calls.length > 2)
    await turns()
    expect(calls).toEqual(['twice given', 'twice given', 'late'])
    pidfd.close()
  })
  test('never comes once it was cancelled, or the pidfd closed', async () => {
    const child = Child.sleeper()
    const [one, two, three] = [open(child.pid), open(child.pid), open(child.pid)] as const
    const calls: string[] = []
    const cancel = one.onEnd(() => calls.push('cancelled'))
    cancel()
    cancel()
    two.onEnd(() => calls.push('closed'))
    two.close()
    three.onEnd(() => calls.push('kept'))
    const cancelKept = three.onEnd(() => calls.push('cancelled beside another'))
    cancelKept()
    await child.kill()
    await until(() => calls.length > 0)
    await turns(20)
    expect(calls).toEqual(['kept'])
    one.close()
    three.close()
  })
  test('may cancel others and close its own pidfd', async () => {
    const child = Child.sleeper()
    const [one, two] = [open(child.pid), open(child.pid)] as const
    const calls: string[] = []
    const cancels: (() => void)[] = []
    for (const pidfd of [one, two]) {
      cancels.push(
        pidfd.onEnd(() => {
          calls.push('called')
          for (const cancel of cancels) cancel()
          pidfd.close()
        }),
      )
    }
    await child.kill()
    await until(() => calls.length > 0)
    await turns(20)
    expect(calls).toEqual(['called'])
  })
  test('comes for each of five thousand pidfds', async () => {
    const before = openFds()
    const child = Child.sleeper()
    const pidfds = Array.from({ length: 5000 }, () => open(child.pid))
    let calls = 0
    for (const pidfd of pidfds) pidfd.onEnd(() => calls++)
    await child.kill()
    await until(() => calls >= pidfds.length)
    await turns()
    expect(calls).toBe(pidfds.length)
    for (const pidfd of pidfds) pidfd.close()
    expect(openFds()).toBe(before)
  })
  test('comes also when the kernel has no watch left to give', async () => {
    // As with fs.epoll.max_user_watches reached, while the flag is set.
    const shim = preloaded(`
      #include <cerrno>
      #include <cstdlib>
      #include <dlfcn.h>
      #include <sys/epoll.h>
      extern "C" int epoll_ctl(int epoll, int op, int fd, epoll_event *event) {
        if (op == EPOLL_CTL_ADD && getenv("NO_WATCHES")) { errno = ENOSPC; return -1; }
        using F = int (*)(int, int, int, epoll_event *);
        return reinterpret_cast<F>(dlsym(RTLD_NEXT, "epoll_ctl"))(epoll, op, fd, event);
      }
    `)
    const body = `
      import { native } from './src/linux/addon.js'
      import { Pidfd } from './src/linux/pidfd.js'
      process.stdin.on('data', () => {})
      const pidfd = Pidfd.open(Number(process.env.PID))
      process.env.NO_WATCHES = '1'
      const code = native.watch(native.pidfdOpen(process.pid), () => {}, false)
      pidfd.onEnd(() => { console.log('ended'); process.exit() })
      delete process.env.NO_WATCHES
      console.log(code)
    `
    const sleeper = Child.sleeper()
    const child = new LinuxCopy().run(body, { env: { ...shim, PID: String(sleeper.pid) } })
    expect(await child.line()).toBe('-28') // ENOSPC
    await sleeper.kill()
    expect(await child.line()).toBe('ended')
  })
})

describe('a pidfd', () => {
  test('is closed once, and not used after', () => {
    const pidfd = open(process.pid)
    pidfd.close()
    expect(() => pidfd.close()).toThrow(FdMisuse)
    expect(() => pidfd.ended()).toThrow(FdMisuse)
    expect(() => pidfd.pid()).toThrow(FdMisuse)
  })
  test('that somebody else closed is noticed', () => {
    const pidfd = open(process.pid)
    const link = fs
      .readdirSync('/proc/self/fdinfo')
      .map(Number)
      .filter((fd) => isPidfdOf(fd, process.pid))
      .at(-1)
    fs.closeSync(link ?? -1)
    expect(() => pidfd.close()).toThrow('closed by somebody who does not own it')
  })
  test('neither stands for a thread nor for no process', () => {
    const thread = fs
      .readdirSync('/proc/self/task')
      .map(Number)
      .find((tid) => tid !== process.pid)
    expect(Pidfd.open(thread ?? 0)).toBeInstanceOf(SyscallFailure)
    expect(Pidfd.open(0)).toEqual(new SyscallFailure('pidfd_open', 'EINVAL'))
    expect(Pidfd.open(-1)).toEqual(new SyscallFailure('pidfd_open', 'EINVAL'))
  })
  test('keeps neither an event loop nor a thread from ending', async () => {
    const watching = `
      import { Pidfd } from './src/linux/pidfd.js'
      Pidfd.open(process.ppid).onEnd(() => {})
      for (let i = 0; i < 100; i++) Pidfd.open(process.pid).onEnd(() => {})
    `
    const copy = new LinuxCopy()
    fs.writeFileSync(`${copy.folder}/thread.mjs`, `${watching}setInterval(() => {}, 1000)`)
    const body = `
      import { once } from 'node:events'
      import { Worker } from 'node:worker_threads'
      ${watching}
      for (const end of [true, false]) {
        const file = end ? './thread.mjs' : './body-of-thread.mjs'
        const worker = new Worker(new URL(file, import.meta.url))
        if (end) { await once(worker, 'online'); await worker.terminate() }
        else await once(worker, 'exit')
      }
      process.on('exit', (code) => console.log('ended with', code))
    `
    fs.writeFileSync(`${copy.folder}/body-of-thread.mjs`, watching)
    const child = copy.run(body)
    expect(await child.line()).toBe('ended with 0')
    await child.ended()
    expect(child.process.exitCode).toBe(0)
  })
})

function isPidfdOf(fd: number, pid: number): boolean {
  try {
    return fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8').includes(`\nPid:\t${pid}\n`)
  } catch {
    return false // the folder's own descriptor, closed by now
  }
}
