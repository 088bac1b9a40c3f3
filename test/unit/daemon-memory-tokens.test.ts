/**
 * Tokens for guest memory: once, in time, for their process; and how many files a user may have.
 */
import { describe, expect, test } from 'vitest'
import type { Caller } from '../../src/broker/caller.js'
import type { GuestFile } from '../../src/broker/verbs/guest-memory.js'
import {
  MEMORY_FILES_MAX,
  MEMORY_FILES_PER_USER_MAX,
  MEMORY_TOKENS_MAX,
  MEMORY_TOKENS_PER_USER_MAX,
  MemoryTokens,
} from '../../src/daemon/memory-tokens.js'
import { TOKEN_LIFE_MS } from '../../src/daemon/one-time-tokens.js'
import { systemChance } from '../../src/daemon/ports.js'
import { RigClock } from '../support/broker-rig-clock.js'

class File implements GuestFile {
  readonly bytes = 4096
  readonly mapped = true
  closes = 0

  read(): bigint {
    return 7n
  }

  exchange(): boolean {
    return true
  }

  close(): void {
    this.closes += 1
  }
}

function processOf(pid: number): Caller['process'] {
  return { pid, inode: String(pid), startTime: '', pidNamespace: '', uid: 1000, gid: 0 }
}

function caller(pid: number): Caller {
  const process = processOf(pid)
  return { process, tenant: 't', delegateFor: new Set(), role: undefined, ended: () => false }
}

const sender = (pid: number, uid = 1000) => ({ process: processOf(pid), uid })

function rig() {
  const clock = new RigClock()
  return { clock, tokens: new MemoryTokens(clock, systemChance) }
}

describe('a token for guest memory', () => {
  test('works once, for the process that it was given to', () => {
    const { tokens } = rig()
    const file = new File()
    const token = tokens.issue(file, sender(5)) ?? ''
    expect(tokens.take(token, caller(6))).toBeUndefined()
    const taken = tokens.take(token, caller(5))
    expect([taken?.read(0), taken?.bytes, file.closes]).toEqual([7n, 4096, 0])
    expect(tokens.take(token, caller(5))).toBeUndefined()
    expect([tokens.outstanding, tokens.files]).toEqual([0, 1])
    taken?.close()
    expect([file.closes, tokens.files]).toEqual([1, 0])
  })

  test('that nobody comes for expires, and its file is closed', () => {
    const { clock, tokens } = rig()
    const file = new File()
    const token = tokens.issue(file, sender(5)) ?? ''
    clock.pass(TOKEN_LIFE_MS - 1)
    expect(file.closes).toBe(0)
    clock.pass(1)
    expect([file.closes, tokens.files, tokens.take(token, caller(5))]).toEqual([1, 0, undefined])
  })

  test('that is used keeps its file when its time is over; the end closes the others', () => {
    const { clock, tokens } = rig()
    const [used, unused] = [new File(), new File()]
    const token = tokens.issue(used, sender(5)) ?? ''
    tokens.take(token, caller(5))
    tokens.issue(unused, sender(5))
    tokens.close()
    clock.pass(TOKEN_LIFE_MS)
    expect([used.closes, unused.closes, tokens.files]).toEqual([0, 1, 1])
  })
})

describe('one user', () => {
  test('has so many unused tokens and no more, and all together', () => {
    const { tokens } = rig()
    for (let i = 0; i < MEMORY_TOKENS_MAX; i += 1) {
      const uid = Math.floor(i / MEMORY_TOKENS_PER_USER_MAX)
      expect(tokens.problem(uid)).toBeUndefined()
      tokens.issue(new File(), sender(5, uid))
      if ((i + 1) % MEMORY_TOKENS_PER_USER_MAX === 0) {
        expect(tokens.problem(uid)).toMatch('too many tokens are unused')
      }
    }
    expect(tokens.problem(99)).toMatch('too many tokens are unused')
    const late = new File()
    expect(tokens.issue(late, sender(5, 99))).toBeUndefined()
    expect([late.closes, tokens.files]).toEqual([1, MEMORY_TOKENS_MAX])
  })

  test('has so many files and no more, mapped ones included, and all together', () => {
    const { tokens } = rig()
    const held: GuestFile[] = []
    const hold = (uid: number): void => {
      const token = tokens.issue(new File(), sender(5, uid)) ?? ''
      const taken = tokens.take(token, caller(5))
      if (taken !== undefined) held.push(taken)
    }
    for (let i = 0; i < MEMORY_FILES_MAX; i += 1) {
      const uid = Math.floor(i / MEMORY_FILES_PER_USER_MAX)
      expect(tokens.problem(uid)).toBeUndefined()
      hold(uid)
    }
    expect(tokens.problem(0)).toMatch('too many files of guest memory are open')
    expect(tokens.problem(99)).toMatch('too many files of guest memory are open')
    held[0]?.close()
    expect([tokens.problem(0), tokens.problem(1)]).toEqual([
      undefined,
      expect.stringMatching('too many files') as string,
    ])
  })
})
