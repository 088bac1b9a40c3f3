/** Processes held by one pidfd each, the owners port over them, and tokens for them. */
import { type ChildProcess, spawn } from 'node:child_process'
import fs from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Caller } from '../../src/broker/caller.js'
import type { Owner, ProcessId } from '../../src/core/owner.js'
import { KernelOwners, ownerBudget } from '../../src/daemon/owners.js'
import { TOKEN_LIFE_MS } from '../../src/daemon/one-time-tokens.js'
import { OwnerTokens, TOKENS_MAX, TOKENS_PER_USER_MAX } from '../../src/daemon/owner-tokens.js'
import { systemChance } from '../../src/daemon/ports.js'
import { type ProcessHold, Processes } from '../../src/daemon/processes.js'
import { SyscallFailure } from '../../src/linux/errno.js'
import { Pidfd } from '../../src/linux/pidfd.js'
import { RigClock } from '../support/broker-rig-clock.js'

const children: ChildProcess[] = []
let processes: Processes
let before: number

const openFds = () => fs.readdirSync('/proc/self/fd').length

beforeEach(() => {
  processes = new Processes()
  before = openFds()
})
afterEach(async () => {
  await Promise.all(children.splice(0).map(kill))
})

/** A process that does nothing, for long. */
function tiny(): ChildProcess & { pid: number } {
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' })
  children.push(child)
  if (child.pid === undefined) throw new Error('sleep did not start')
  return Object.assign(child, { pid: child.pid })
}

/** Resolves when it is reaped too. */
function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  const reaped = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill('SIGKILL')
  return reaped
}

function hold(pid: number): ProcessHold {
  const pidfd = Pidfd.open(pid)
  if (pidfd instanceof SyscallFailure) throw new Error(String(pidfd))
  return processes.hold(pidfd, pid)
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('one pidfd a process', () => {
  test('whoever holds it, closed when the last has left', () => {
    const { pid } = tiny()
    const during = openFds()
    const holds = Array.from({ length: 20 }, () => hold(pid))
    expect([processes.open, openFds() - during]).toEqual([1, 1])
    expect(new Set(holds.map(({ id }) => id)).size).toBe(1)
    expect(holds[0]!.id).toMatchObject({ pid, inode: expect.stringMatching(/^\d+$/) })
    expect(holds[0]!.id.startTime).toMatch(/^\d+$/)
    for (const one of holds.slice(1)) one.release()
    expect(holds[0]!.ended()).toBe(false)
    holds[0]!.release()
    expect([processes.open, openFds() - during]).toEqual([0, 0])
    expect(() => holds[0]!.release()).toThrow('released once')
  })
  test('its end is told once to each holder, and not to one that has left', async () => {
    const child = tiny()
    const told: string[] = []
    const [first, left] = [hold(child.pid), hold(child.pid)]
    first.onEnd(() => told.push('first'))
    left.onEnd(() => told.push('left'))
    left.release()
    await kill(child)
    await expect.poll(() => told).toEqual(['first'])
    expect([first.ended(), processes.open]).toEqual([true, 0])
    // Asked later, it is told later.
    first.onEnd(() => told.push('late'))
    expect(told).toEqual(['first'])
    await turn()
    expect(told).toEqual(['first', 'late'])
    first.release()
    expect(openFds()).toBe(before)
  })
  test('a holder that leaves while it is told does not disturb the others', async () => {
    const child = tiny()
    const told: string[] = []
    const holds = [hold(child.pid), hold(child.pid), hold(child.pid)]
    for (const [at, one] of holds.entries()) {
      one.onEnd(() => {
        told.push(String(at))
        for (const each of holds.splice(0)) each.release()
      })
    }
    await kill(child)
    await expect.poll(() => told).toEqual(['0'])
    expect(openFds()).toBe(before)
  })
  test('a thousand holders of a hundred processes leave no descriptor', async () => {
    const pids = Array.from({ length: 100 }, () => tiny().pid)
    const during = openFds()
    const holds = pids.flatMap((pid) => Array.from({ length: 10 }, () => hold(pid)))
    expect([processes.open, openFds() - during]).toEqual([100, 100])
    await Promise.all(children.splice(0).map(kill))
    await expect.poll(() => processes.open).toBe(0)
    for (const one of holds) one.release()
    expect(openFds()).toBe(before)
  })
})

describe('owners', () => {
  function idOf(pid: number): ProcessId {
    const one = hold(pid)
    const { id } = one
    one.release()
    return id
  }

  test('are watched until they end', async () => {
    const child = tiny()
    const owners = new KernelOwners(processes, 10)
    let ends = 0
    const watched = owners.watch(idOf(child.pid), () => (ends += 1))
    if (typeof watched === 'string') throw new Error(watched)
    expect([watched.ended(), owners.probe(idOf(child.pid))]).toEqual([false, 'ALIVE'])
    await kill(child)
    await expect.poll(() => ends).toBe(1)
    expect(watched.ended()).toBe(true)
    watched.stop()
    await turn()
    expect([ends, openFds()]).toEqual([1, before])
  })
  test('that ended before are GONE, also when another has the number', async () => {
    const [child, other] = [tiny(), tiny()]
    const id = idOf(child.pid)
    await kill(child)
    const owners = new KernelOwners(processes, 10)
    expect(owners.watch(id, () => undefined)).toBe('GONE')
    expect(owners.watch({ ...id, pid: other.pid }, () => undefined)).toBe('GONE')
    expect(processes.open).toBe(0)
  })
  test('whose end is only likely are left to the sweep', async () => {
    const child = tiny()
    // As an older kernel has it: number and start time.
    const id = { ...idOf(child.pid), inode: '' }
    const owners = new KernelOwners(processes, 10)
    const watched = owners.watch(id, () => undefined)
    if (typeof watched === 'string') throw new Error(watched)
    watched.stop()
    expect(owners.watch({ ...id, startTime: '1' }, () => undefined)).toBe('UNWATCHED')
    await kill(child)
    expect(owners.watch(id, () => undefined)).toBe('UNWATCHED')
    expect(owners.watch({ ...id, pidNamespace: '1' }, () => undefined)).toBe('UNWATCHED')
    expect(processes.open).toBe(0)
  })
  test('beyond the budget only those that are held already are watched', () => {
    const owners = new KernelOwners(processes, 1)
    const [first, second] = [idOf(tiny().pid), idOf(tiny().pid)]
    const watched = [owners.watch(first, () => undefined), owners.watch(first, () => undefined)]
    expect(watched.every((one) => typeof one !== 'string')).toBe(true)
    expect(owners.watch(second, () => undefined)).toBe('UNWATCHED')
    for (const one of watched) if (typeof one !== 'string') one.stop()
    const now = owners.watch(second, () => undefined)
    if (typeof now === 'string') throw new Error(now)
    now.stop()
  })
  test('get half of what descriptors are left', () => {
    expect([ownerBudget(20_000), ownerBudget(1024), ownerBudget(100)]).toEqual([9872, 384, 0])
  })
})

describe('owner tokens', () => {
  const clock = new RigClock()

  function rig() {
    const tokens = new OwnerTokens(clock, systemChance)
    const child = tiny()
    const us = hold(process.pid)
    const issue = (uid = 1001) => {
      const one = hold(child.pid)
      const owner: Owner = { ...one.id, uid: 5, gid: 6 }
      return tokens.issue({ owner, hold: one, sender: us.id, uid })
    }
    const caller = (id: ProcessId = us.id): Caller => ({
      process: { ...id, uid: 1001, gid: 1001 },
      tenant: undefined,
      delegateFor: new Set(),
      role: undefined,
      ended: () => false,
    })
    return { tokens, child, us, issue, caller }
  }

  test('stand for the process once, for whom they were given to', () => {
    const { tokens, child, us, issue, caller } = rig()
    const token = issue() ?? ''
    expect(token).toMatch(/^[0-9a-f]{64}$/)
    const stranger = hold(tiny().pid)
    expect(tokens.take(token, caller(stranger.id))).toBeUndefined()
    expect(tokens.take('0'.repeat(64), caller())).toBeUndefined()
    const taken = tokens.take(token, caller())
    expect(taken).toMatchObject({ owner: { pid: child.pid, uid: 5, gid: 6 }, ended: false })
    expect(tokens.take(token, caller())).toBeUndefined()
    stranger.release()
    us.release()
    expect([tokens.outstanding, processes.open]).toEqual([0, 0])
  })
  test('say when the process has ended meanwhile', async () => {
    const { tokens, child, issue, caller } = rig()
    const token = issue() ?? ''
    await kill(child)
    expect(tokens.take(token, caller())).toMatchObject({ ended: true })
  })
  test('expire, and let the process go then', () => {
    const { tokens, issue, caller } = rig()
    const token = issue() ?? ''
    clock.pass(TOKEN_LIFE_MS - 1)
    const other = issue() ?? ''
    clock.pass(1)
    expect(tokens.take(token, caller())).toBeUndefined()
    expect(tokens.outstanding).toBe(1)
    expect(tokens.take(other, caller())).toBeDefined()
    expect(clock.timers).toBe(0)
  })
  test('are bounded, a user and in all; what finds no room is let go', () => {
    const { tokens, us, issue } = rig()
    const users = TOKENS_MAX / TOKENS_PER_USER_MAX
    for (let uid = 1; uid <= users; uid++) {
      for (let i = 0; i < TOKENS_PER_USER_MAX; i++) expect(issue(uid)).toBeDefined()
      expect(issue(uid)).toBeUndefined()
    }
    expect([tokens.outstanding, issue(users + 1)]).toEqual([TOKENS_MAX, undefined])
    tokens.close()
    us.release()
    expect([tokens.outstanding, processes.open, clock.timers]).toEqual([0, 0, 0])
    expect(issue(1)).toBeDefined()
    tokens.close()
  })
})
