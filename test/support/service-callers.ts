/** Callers and owners that tests make up, where the kernel has no part in what is tested. */
import type { Caller } from '../../src/broker/caller.js'
import type { Owner } from '../../src/core/owner.js'

export function processOf(pid: number, uid = 1000): Owner {
  const place = { inode: `${pid}`, startTime: '1', pidNamespace: '4026531836' }
  return { pid, uid, gid: uid, ...place }
}

export class TestCaller implements Caller {
  readonly process: Owner
  readonly tenant: string | undefined
  readonly delegateFor: ReadonlySet<string>
  readonly role: Caller['role']
  hasEnded = false

  constructor(facts: Partial<Pick<Caller, 'process' | 'tenant' | 'delegateFor' | 'role'>> = {}) {
    this.process = facts.process ?? processOf(100)
    this.tenant = 'tenant' in facts ? facts.tenant : 'default'
    this.delegateFor = facts.delegateFor ?? new Set()
    this.role = facts.role
  }

  ended(): boolean {
    return this.hasEnded
  }
}
