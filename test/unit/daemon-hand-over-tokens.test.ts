/**
 * Whose token of a handed-over device gives way: of a process that has as many as it may, of a
 * user's process that has the most; and that no user takes another's place.
 */
import { describe, expect, test } from 'vitest'
import type { Caller } from '../../src/broker/caller.js'
import {
  HAND_OVERS_MAX,
  HAND_OVERS_PER_PROCESS_MAX,
  HAND_OVERS_PER_USER_MAX,
} from '../../src/daemon/hand-over-tokens.js'
import { OneTimeTokens } from '../../src/daemon/one-time-tokens.js'
import { systemChance } from '../../src/daemon/ports.js'
import { RigClock } from '../support/broker-rig-clock.js'

const LIMITS = {
  all: HAND_OVERS_MAX,
  perUser: HAND_OVERS_PER_USER_MAX,
  perProcess: HAND_OVERS_PER_PROCESS_MAX,
}

class Rig {
  readonly tokens: OneTimeTokens<string>
  /** What was let go of, in order. */
  readonly gone: string[] = []

  constructor() {
    const ports = { clock: new RigClock(), chance: systemChance }
    this.tokens = new OneTimeTokens(ports, LIMITS, (held) => this.gone.push(held))
  }

  /** As `pid/uid name`. Whether there is a token. */
  issue(pid: number, name: string, uid = 1000): string | undefined {
    const sender = { process: processOf(pid), uid }
    const hasRoom = this.tokens.hasRoom(uid, sender.process)
    const token = this.tokens.issue(name, sender)
    expect(token !== undefined).toBe(hasRoom)
    return token
  }

  /** So many of each process, named `pid.i`. */
  fill(pids: readonly number[], each: number, uid = 1000): void {
    for (const pid of pids) {
      for (let i = 1; i <= each; i += 1) expect(this.issue(pid, `${pid}.${i}`, uid)).toBeDefined()
    }
    expect(this.gone).toEqual([])
  }
}

function processOf(pid: number): Caller['process'] {
  return { pid, inode: String(pid), startTime: '', pidNamespace: '', uid: 1000, gid: 0 }
}

function callerOf(pid: number): Caller {
  const process = processOf(pid)
  return { process, tenant: 't', delegateFor: new Set(), role: undefined, ended: () => false }
}

const range = (first: number, count: number) => Array.from({ length: count }, (_, i) => first + i)

describe('a token of a handed-over device', () => {
  test('of one process more than it may have takes the place of its oldest', () => {
    const rig = new Rig()
    rig.fill([1, 2], HAND_OVERS_PER_PROCESS_MAX)
    expect(rig.issue(2, 'new')).toBeDefined()
    expect(rig.gone).toEqual(['2.1'])
    expect(rig.tokens.outstanding).toBe(2 * HAND_OVERS_PER_PROCESS_MAX)
  })

  test('of one who forks does not keep out another of its user', () => {
    const rig = new Rig()
    const forks = HAND_OVERS_PER_USER_MAX / HAND_OVERS_PER_PROCESS_MAX
    rig.fill(range(1, forks), HAND_OVERS_PER_PROCESS_MAX)
    const token = rig.issue(99, 'of another') ?? ''
    expect(rig.gone).toEqual(['1.1'])
    expect(rig.tokens.outstanding).toBe(HAND_OVERS_PER_USER_MAX)
    // Those who have more give way to each other, and not this one.
    for (const pid of [...range(1, forks), ...range(1, forks)]) rig.issue(pid, 'again')
    expect(rig.tokens.take(token, callerOf(99))).toBe('of another')
    expect(rig.tokens.outstanding).toBe(HAND_OVERS_PER_USER_MAX - 1)
  })

  test('the last that a user may have takes no place, one more that of the most', () => {
    const rig = new Rig()
    rig.fill([1], 2)
    rig.fill(range(2, HAND_OVERS_PER_USER_MAX - 3), 1)
    expect(rig.tokens.outstanding).toBe(HAND_OVERS_PER_USER_MAX - 1)
    rig.issue(98, 'the last')
    expect(rig.gone).toEqual([])
    rig.issue(99, 'one more')
    expect(rig.gone).toEqual(['1.1'])
    // All have one by now: the oldest.
    rig.issue(100, 'another')
    expect(rig.gone).toEqual(['1.1', '1.2'])
    // Who has as many as the most gives way itself.
    rig.issue(99, 'again')
    expect(rig.gone).toEqual(['1.1', '1.2', 'one more'])
    expect(rig.tokens.outstanding).toBe(HAND_OVERS_PER_USER_MAX)
  })

  test('takes no place of another user’s: with as many as there may be it is refused', () => {
    const rig = new Rig()
    const users = HAND_OVERS_MAX / HAND_OVERS_PER_USER_MAX
    const forks = HAND_OVERS_PER_USER_MAX / HAND_OVERS_PER_PROCESS_MAX
    for (const user of range(1, users)) {
      rig.fill(range(user * 100, forks), HAND_OVERS_PER_PROCESS_MAX, user)
    }
    expect(rig.issue(999, 'of a fifth user', 9)).toBeUndefined()
    expect(rig.gone).toEqual(['of a fifth user'])
    expect(rig.issue(199, 'of the first', 1)).toBeDefined()
    expect(rig.gone).toEqual(['of a fifth user', '100.1'])
    expect(rig.tokens.outstanding).toBe(HAND_OVERS_MAX)
    rig.tokens.close()
    expect(rig.gone).toHaveLength(HAND_OVERS_MAX + 2)
  })
})
