/**
 * What happens when somebody connects, before a byte is read: the bounds on connections, who it is
 * by the kernel's word, and what the rules make of that. Holds: the peer's pidfd has an owner at
 * once; who is let in is counted and held until `leave`, whatever the connection does.
 */

import type { Logger } from 'pino'
import type { Caller } from '../broker/caller.js'
import { assert } from '../core/assert.js'
import { accept, refuse, type Outcome, type Refusal } from '../core/refusal.js'
import { SyscallFailure, thrownFailure } from '../linux/errno.js'
import { overflowIds } from '../linux/ourselves.js'
import type { Peer } from '../linux/peer.js'
import type { Pidfd } from '../linux/pidfd.js'
import { factsOf } from '../linux/process.js'
import type { IdentityConfig } from './config/config.js'
import type { ConnectionCaps } from './connection-caps.js'
import {
  identify,
  needsRead,
  type Identity,
  type IdentityRules,
  type Place,
  type ReadFacts,
} from './identity.js'
import { FIELD } from './log-fields.js'
import type { ProcessHold, Processes } from './processes.js'
import { ThrottledLog } from './telemetry.js'

export interface AdmissionOptions {
  readonly identity: IdentityConfig
  readonly processes: Processes
  readonly caps: ConnectionCaps
  readonly log: Logger
}

/** The socket that was connected to, and how many connections it has. */
export interface Door {
  readonly path: string
  readonly place: Place
  readonly open: number
}

/** One connection that was let in. `leave` ends it, exactly once. */
export interface Visitor {
  /** Every call on the connection is answered with the refusal, if it is one. */
  readonly caller: Outcome<Caller>
  readonly uid: number
  /**
   * Called once when the process of a known caller has ended: others may hold the connection. A
   * caller that was refused keeps it, to be told why.
   */
  onEnd(run: () => void): void
  leave(): void
}

const NO_DESCRIPTOR: readonly string[] = ['EMFILE', 'ENFILE']
const NOT_READ: ReadFacts = {
  cgroup: undefined,
  executable: undefined,
  problem: 'nothing was read of it',
}

function factsOrFailure(
  pidfd: Pidfd | undefined,
  executables: ReadonlySet<string>,
): ReturnType<typeof factsOf> {
  try {
    return pidfd === undefined ? undefined : factsOf(pidfd, executables)
  } catch (error) {
    return thrownFailure('read', error)
  }
}

function read(hold: ProcessHold | undefined, executables: ReadonlySet<string>): ReadFacts {
  const facts = factsOrFailure(hold?.pidfd(), executables)
  if (facts === undefined) return NOT_READ
  if (facts instanceof SyscallFailure) return { ...NOT_READ, problem: String(facts) }
  const { cgroup, executable } = facts
  if (executable instanceof SyscallFailure) {
    return { cgroup, executable: undefined, problem: String(executable) }
  }
  const path = executable.genuine ? executable.path : undefined
  return { cgroup, executable: { path }, problem: '' }
}

/** Operators do not use up what VMMs of the same user have. */
function isCounted(place: Place): boolean {
  return place.kind !== 'admin'
}

function callerOf(identity: Identity, peer: Peer, hold: ProcessHold): Caller {
  const { uid, gid } = peer
  return { ...identity, process: { ...hold.id, uid, gid }, ended: () => hold.ended() }
}

export class Admission {
  readonly #processes: Processes
  readonly #caps: ConnectionCaps
  readonly #lines: ThrottledLog
  readonly #rules: IdentityRules
  readonly #readsVmms: boolean
  readonly #readsOperators: boolean
  /** That some rule names. */
  readonly #executables: ReadonlySet<string>

  constructor({ identity, processes, caps, log }: AdmissionOptions) {
    this.#processes = processes
    this.#caps = caps
    this.#lines = new ThrottledLog(log)
    this.#rules = { ...identity, overflow: overflowIds() }
    this.#readsVmms = needsRead(identity.rules)
    this.#readsOperators = needsRead(identity.operators)
    const all = [...identity.rules, ...identity.operators]
    this.#executables = new Set(all.flatMap(({ executable }) => executable ?? []))
  }

  /** Takes the peer's pidfd over. Undefined: not let in, and logged. */
  admit(peer: Peer | SyscallFailure, door: Door): Visitor | undefined {
    if (peer instanceof SyscallFailure) return this.#nameless(peer, door)
    const { uid, pid } = peer
    if (!this.#hasRoom(uid, door)) {
      peer.pidfd?.close()
      return undefined
    }
    const hold = peer.pidfd === undefined ? undefined : this.#processes.hold(peer.pidfd, pid)
    const caller = this.#callerOf(peer, hold, door)
    if (caller.ok) return this.#visitor(caller, { uid, place: door.place, hold })
    hold?.release()
    return this.#visitor(caller, { uid, place: door.place, hold: undefined })
  }

  #callerOf(peer: Peer, hold: ProcessHold | undefined, { path, place }: Door): Outcome<Caller> {
    const reads = place.kind === 'admin' ? this.#readsOperators : this.#readsVmms
    const facts = reads ? read(hold, this.#executables) : NOT_READ
    // After the reading: what was read of a process that has ended may be another's.
    const ended = hold?.ended() ?? false
    const all = { ...peer, held: hold !== undefined, ended, read: facts }
    const identity = identify(all, place, this.#rules)
    if (identity.ok) {
      assert(hold !== undefined, 'whom the rules know has a pidfd')
      return accept(callerOf(identity.value, peer, hold))
    }
    this.#sayRefused(path, identity.refusal)
    return identity
  }

  #sayRefused(path: string, refusal: Refusal): void {
    if (refusal.code !== 'IDENTITY_REFUSED') return
    const { uid, pid, problem } = refusal
    const who = { [FIELD.SOCKET]: path, [FIELD.UID]: uid, [FIELD.PID]: pid }
    this.#lines.say('warn', { ...who, [FIELD.PROBLEM]: problem }, 'caller refused')
  }

  /** The kernel did not say who it is: too late, or it has no descriptor left. */
  #nameless(failure: SyscallFailure, door: Door): Visitor | undefined {
    const fields = { [FIELD.SOCKET]: door.path, [FIELD.PROBLEM]: String(failure) }
    if (NO_DESCRIPTOR.includes(failure.errno)) {
      this.#lines.say('error', fields, 'connection refused: no descriptor is left')
      return undefined
    }
    if (!this.#hasRoom(this.#rules.overflow.uid, door)) return undefined
    const problem = `the kernel does not say who connected (${String(failure)}): it may have ended`
    const remedy = 'connect from the process that makes the calls, on Linux 6.5 or later'
    const { uid, gid } = this.#rules.overflow
    const caller = refuse({ code: 'IDENTITY_REFUSED', uid, gid, pid: 0, problem, remedy })
    this.#sayRefused(door.path, caller.refusal)
    return this.#visitor(caller, { uid, place: door.place, hold: undefined })
  }

  #visitor(
    caller: Outcome<Caller>,
    at: { readonly uid: number; readonly place: Place; readonly hold: ProcessHold | undefined },
  ): Visitor {
    const { uid, place, hold } = at
    const counted = isCounted(place)
    if (counted) this.#caps.enter(uid)
    return {
      caller,
      uid,
      onEnd: (run) => hold?.onEnd(run),
      leave: () => {
        if (counted) this.#caps.leave(uid)
        hold?.release()
      },
    }
  }

  #hasRoom(uid: number, { path, open, place }: Door): boolean {
    const cap = this.#caps.reached(uid, { open, counted: isCounted(place) })
    if (cap === undefined) return true
    const { connections, connectionsPerUid } = this.#caps.limits
    const limit = cap === 'SOCKET' ? connections : connectionsPerUid
    const message =
      cap === 'SOCKET'
        ? 'connection refused: as many as may be are open'
        : 'connection refused: as many as one user may have are open'
    const who = { [FIELD.SOCKET]: path, [FIELD.UID]: uid }
    this.#lines.say('warn', { ...who, [FIELD.LIMIT]: limit }, message)
    return false
  }
}
