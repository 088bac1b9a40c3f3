/**
 * Whose token of a handed-over device gives way: of a process that has as many as it may, of a
 * user's process that has the most, of the user who has the most; and that the process of each is
 * watched as long as its token is there.
 */
import { describe, expect, test } from 'vitest'
import type { Caller } from '../../src/broker/caller.js'
import {
  HAND_OVERS_MAX,
  HAND_OVERS_PER_PROCESS_MAX,
  HAND_OVERS_PER_USER_MAX,
} from '../../src/daemon/hand-over-tokens.js'
import { OneTimeTokens, TOKEN_LIFE_MS, type Sender } from '../../src/daemon/one-time-tokens.js'
import { systemChance } from '../../src/daemon/ports.js'
import { RigClock } from '../support/broker-rig-clock.js'

const LIMITS = {
  all: HAND_OVERS_MAX,
  perUser: HAND_OVERS_PER_USER_MAX,
  perProcess: HAND_OVERS_PER_PROCESS_MAX,
}

class Rig {
  readonly clock = new RigClock()
  readonly tokens: OneTimeTokens<string>
  /** What was let go of, in order. */
  readonly gone: string[] = []

  constructor() {
    const ports = { clock: this.clock, chance: systemChance }
    this.tokens = new OneTimeTokens(ports, LIMITS, (held) => this.gone.push(held))
  }

  /** The token, of which there is one where there is room for it. */
  issue(pid: number, name: string, uid = 1000, watch?: Sender['watch']): string | undefined {
    const sender = { process: processOf(pid), uid, watch }
    const hasRoom = this.tokens.hasRoom(uid, sender.process)
    const token = this.tokens.issue(name, sender)
    expect(token !== undefined).toBe(hasRoom)
    return token
  }

  /** So many of each process, named `pid.i`. */
  fillUp(pids: readonly number[], each: number, uid = 1000): void {
    for (const pid of pids) {
      for (let i = 1; i <= each; i += 1) expect(this.issue(pid, `${pid}.${i}`, uid)).toBeDefined()
    }
  }

  /** The same, and nothing gives way. */
  fill(pids: readonly number[], each: number, uid?: number): void {
    this.fillUp(pids, each, uid)
    expect(this.gone).toEqual([])
  }
}

/** Of a process: as ProcessHold, but that it counts, and tells of the end to who has left off too. */
class Watch {
  readonly #onEnds: (() => void)[] = []
  left = 0

  readonly begin = (onEnd: () => void): (() => void) => {
    this.#onEnds.push(onEnd)
    return () => {
      this.left += 1
    }
  }

  get begun(): number {
    return this.#onEnds.length
  }

  end(): void {
    for (const onEnd of this.#onEnds) onEnd()
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

  test('where all places are taken, one of a user with none takes that of who has the most', () => {
    const rig = new Rig()
    const users = HAND_OVERS_MAX / HAND_OVERS_PER_USER_MAX
    const forks = HAND_OVERS_PER_USER_MAX / HAND_OVERS_PER_PROCESS_MAX
    for (const user of range(1, users)) {
      rig.fill(range(user * 100, forks), HAND_OVERS_PER_PROCESS_MAX, user)
    }
    expect(rig.tokens.outstanding).toBe(HAND_OVERS_MAX)
    const token = rig.issue(999, 'of a fifth user', 9) ?? ''
    expect(rig.gone).toEqual(['100.1'])
    // Of those who have as many as a user may, one more takes no place of another user's.
    expect(rig.issue(299, 'of the second', 2)).toBeDefined()
    expect(rig.gone).toEqual(['100.1', '200.1'])
    // Those who have more give way to each other, and not the one who has one.
    for (const user of [...range(1, users), ...range(1, users)]) {
      for (const pid of range(user * 100, forks)) rig.issue(pid, 'again', user)
    }
    expect(rig.tokens.outstanding).toBe(HAND_OVERS_MAX)
    expect(rig.gone).not.toContain('of a fifth user')
    expect(rig.tokens.take(token, callerOf(999))).toBe('of a fifth user')
  })

  test('the last place takes no other; one more of a user who has as many as the most is refused', () => {
    const rig = new Rig()
    const each = HAND_OVERS_PER_USER_MAX / 2
    const users = HAND_OVERS_MAX / each
    const last = users * 100
    for (const user of range(1, users - 1)) rig.fill(range(user * 100, each), 1, user)
    rig.fill(range(last, each - 1), 1, users)
    expect(rig.tokens.outstanding).toBe(HAND_OVERS_MAX - 1)
    expect(rig.issue(last + 98, 'the last', users)).toBeDefined()
    expect(rig.gone).toEqual([])
    expect(rig.issue(last + 99, 'one more', users)).toBeUndefined()
    expect(rig.gone).toEqual(['one more'])
    // One fewer than the most is enough.
    expect(rig.issue(999, 'of another user', 99)).toBeDefined()
    expect(rig.issue(199, 'of the first', 1)).toBeDefined()
    expect(rig.gone).toEqual(['one more', '100.1', '200.1'])
    expect(rig.tokens.outstanding).toBe(HAND_OVERS_MAX)
    rig.tokens.close()
    expect(rig.gone).toHaveLength(HAND_OVERS_MAX + 3)
  })
})

interface Ground {
  readonly rig: Rig
  readonly token: string
}

const WAYS_TO_GO: readonly (readonly [string, (ground: Ground) => void, readonly string[]])[] = [
  ['was taken', ({ rig, token }) => rig.tokens.take(token, callerOf(1)), []],
  [
    'gave way',
    ({ rig }) => rig.fillUp([1], HAND_OVERS_PER_PROCESS_MAX),
    ['watched', '1.1', '1.2', '1.3', '1.4'],
  ],
  ['expired', ({ rig }) => rig.clock.pass(TOKEN_LIFE_MS), ['watched']],
  ['was closed', ({ rig }) => rig.tokens.close(), ['watched']],
  ['stays', () => undefined, ['watched']],
]

describe('the watch of the process that a token was given to', () => {
  test.each(WAYS_TO_GO)('is left once where it %s, and then the process ends', (_, go, gone) => {
    const rig = new Rig()
    const watch = new Watch()
    const token = rig.issue(1, 'watched', 1000, watch.begin) ?? ''
    expect([watch.begun, watch.left]).toEqual([1, 0])
    go({ rig, token })
    watch.end()
    expect(watch.left).toBe(1)
    rig.clock.pass(TOKEN_LIFE_MS)
    rig.tokens.close()
    watch.end()
    expect([watch.begun, watch.left]).toEqual([1, 1])
    expect(rig.gone).toEqual(gone)
    expect(rig.tokens.outstanding).toBe(0)
    expect(rig.clock.timers).toBe(0)
  })

  test('is not begun for what is refused', () => {
    const rig = new Rig()
    const each = HAND_OVERS_PER_USER_MAX / 2
    for (const user of range(1, HAND_OVERS_MAX / each)) rig.fill(range(user * 100, each), 1, user)
    const watch = new Watch()
    expect(rig.issue(199, 'refused', 1, watch.begin)).toBeUndefined()
    expect([watch.begun, rig.gone]).toEqual([0, ['refused']])
  })
})
