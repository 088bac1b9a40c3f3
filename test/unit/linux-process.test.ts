/** Facts from /proc, of real processes, and of texts that kernels write and we do not have here. */
import fs from 'node:fs'
import { describe, expect, test, vi } from 'vitest'
import { SyscallFailure } from '../../src/linux/errno.js'
import { mayReadForeignExecutables, overflowIds, pidNamespace } from '../../src/linux/ourselves.js'
import { Pidfd } from '../../src/linux/pidfd.js'
import {
  cgroupIn,
  factsOf,
  type ProcessFacts,
  startTimeIn,
  startTimeOf,
} from '../../src/linux/process.js'
import { Child, isRoot, LinuxCopy, mayUnshare } from '../native/children.js'

/** Other processes start here: on a busy machine more than a unit test is given otherwise. */
vi.setConfig({ testTimeout: 120_000 })

function factsOfPid(pid: number, executables: readonly string[] = []): ProcessFacts {
  const pidfd = Pidfd.open(pid)
  if (pidfd instanceof SyscallFailure) throw new Error(pidfd.toString())
  const facts = factsOf(pidfd, new Set(executables))
  pidfd.close()
  if (facts === undefined || facts instanceof SyscallFailure) throw new Error(String(facts))
  return facts
}

describe('the start time', () => {
  test('is found behind a command with blanks and brackets', async () => {
    const child = Child.python(`
      ours = open('/proc/self/stat').read().split(' ')[21]
      open('/proc/self/comm', 'w').write('a) R 1 2) (3')
      say(ours)
      hear()
    `)
    expect(startTimeOf(child.pid)).toBe(await child.line())
    expect(fs.readFileSync(`/proc/${child.pid}/stat`, 'utf8')).toContain('(a) R 1 2) (3)')
  })
  test('is the 22nd field, and nothing else will do', () => {
    const fields = Array.from({ length: 50 }, (_, index) => String(index + 3)).join(' ')
    expect(startTimeIn(`7 (x\n) y) ${fields}\n`)).toBe('22')
    expect(startTimeIn('7 (x) R 1 2')).toBeUndefined()
    expect(startTimeIn('')).toBeUndefined()
  })
  test('is that of the process, over exec', async () => {
    const child = new Child(['sh', '-c', 'echo ready; read line; exec sleep 1000'])
    await child.line()
    const before = startTimeOf(child.pid)
    child.tell('go on')
    while (fs.readFileSync(`/proc/${child.pid}/comm`, 'utf8') !== 'sleep\n') {
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect(startTimeOf(child.pid)).toBe(before)
  })
})

describe('the cgroup', () => {
  test.each([
    ['v2', '0::/machine.slice/vm-1.scope\n', '/machine.slice/vm-1.scope'],
    ['v2 with colons', '0::/a:b::c\n', '/a:b::c'],
    ['v2 at the root', '0::/\n', '/'],
    ['v1', '4:memory:/m\n1:name=systemd:/system.slice/x.service\n', '/system.slice/x.service'],
    ['both, used by v1', '4:memory:/m\n1:name=systemd:/v1\n0::/\n', '/v1'],
    ['both, used by v2', '4:memory:/m\n1:name=systemd:/v1\n0::/v2\n', '/v2'],
    ['none', '', '/'],
  ])('of %s', (_name, text, path) => {
    expect(cgroupIn(text)).toBe(path)
  })
  test('of a child is ours', () => {
    const ours = cgroupIn(fs.readFileSync('/proc/self/cgroup', 'utf8'))
    expect(factsOfPid(Child.sleeper().pid).cgroup).toBe(ours)
  })
})

describe('the executable', () => {
  test('is the file itself, behind links', () => {
    const path = fs.realpathSync(process.execPath)
    const { executable } = factsOfPid(process.pid, ['/bin/false', path])
    expect(executable).toEqual({ path, genuine: true })
  })
  test('is not looked at where no rule names it: the path is the caller’s choice', () => {
    const looks = vi.spyOn(fs, 'statSync')
    try {
      const { executable } = factsOfPid(process.pid, ['/bin/false'])
      const path = fs.realpathSync(process.execPath)
      expect(executable).toEqual({ path, genuine: false })
      expect(looks).not.toHaveBeenCalled()
    } finally {
      looks.mockRestore()
    }
  })
  test('is not genuine when the path is another file here', async (context) => {
    if (!mayUnshare('--mount')) context.skip('a mount namespace cannot be made here')
    const child = new Child([
      ...['unshare', '--mount', '--propagation', 'private', 'sh', '-c'],
      'mount --bind "$(readlink -f "$(command -v sleep)")" "$0" && echo ready && exec "$0" 1000',
      fs.realpathSync('/bin/true'),
    ])
    await child.line()
    const isTrue = () => fs.readFileSync(`/proc/${child.pid}/comm`, 'utf8') === 'true\n'
    while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 5))
    const path = fs.realpathSync('/bin/true')
    const { executable } = factsOfPid(child.pid, [path])
    expect(executable).toEqual({ path, genuine: false })
  })
  test('of another user is EACCES without the right', async (context) => {
    if (!isRoot) context.skip('only root can take the id of another user')
    const body = `
      import { mayReadForeignExecutables } from './src/linux/ourselves.js'
      import { Pidfd } from './src/linux/pidfd.js'
      import { factsOf } from './src/linux/process.js'
      const facts = factsOf(Pidfd.open(Number(process.env.PID)), new Set())
      console.log(JSON.stringify([mayReadForeignExecutables(), facts]))
    `
    const before = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
    const env = { PID: String(process.pid) }
    const [may, facts] = JSON.parse(await new LinuxCopy().run(body, { before, env }).line())
    expect(may).toBe(false)
    expect(facts.executable).toEqual({ syscall: 'readlink(/proc/PID/exe)', errno: 'EACCES' })
    expect(facts.startTime).toBe(startTimeOf(process.pid))
    expect(mayReadForeignExecutables()).toBe(true)
  })
})

test('a process that has ended has no facts, even where its number is still in /proc', async () => {
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
  const pidfd = Pidfd.open(Number(await parent.line()))
  if (pidfd instanceof SyscallFailure) throw new Error(pidfd.toString())
  expect(factsOf(pidfd, new Set())).toHaveProperty('startTime')
  parent.tell('kill')
  await parent.line()
  expect(startTimeOf(pidfd.pid() ?? 0)).toMatch(/^\d+$/)
  expect(factsOf(pidfd, new Set())).toBeUndefined()
  pidfd.close()
})

test('our pid namespace and the overflow ids', () => {
  expect(`pid:[${pidNamespace()}]`).toBe(fs.readlinkSync('/proc/self/ns/pid'))
  expect(overflowIds()).toEqual({ uid: 65534, gid: 65534 })
})
