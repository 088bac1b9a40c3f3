/**
 * The side socket: a delegate sends a pidfd of a VM's process, because gRPC cannot carry one, and
 * gets a token to name in OpenSession. One message is one request; docs/OWNERSHIP.md is the
 * protocol. Holds: every descriptor that arrives is taken or closed; nothing a client sends makes
 * the daemon wait.
 */

import fs from 'node:fs'
import type { Logger } from 'pino'
import type { Caller } from '../broker/caller.js'
import type { Owner } from '../core/owner.js'
import { SyscallFailure } from '../linux/errno.js'
import type { FdConnection, FdMessage } from '../linux/fd-connection.js'
import { listen, type FdServer } from '../linux/fd-socket.js'
import type { Pidfd } from '../linux/pidfd.js'
import type { Admission, Visitor } from './admission.js'
import type { LimitsConfig, SocketConfig } from './config/config.js'
import { errnoOf } from './exits.js'
import { FIELD } from './log-fields.js'
import { TOKENS_MAX, TOKENS_PER_USER_MAX, type OwnerTokens } from './owner-tokens.js'
import type { Processes } from './processes.js'
import { bindFile, removeSocket, type BoundSocket } from './socket-file.js'
import { ThrottledLog } from './telemetry.js'

/** "pidfd" is the longest that anybody needs to say; more is not read. */
const LIMITS = { textBytes: 64, fds: 4 }
const REQUEST = 'pidfd'

export interface OwnerSocketOptions {
  readonly socket: SocketConfig
  readonly admission: Admission
  readonly processes: Processes
  readonly tokens: OwnerTokens
  readonly limits: Pick<LimitsConfig, 'firstByteMs'>
  readonly log: Logger
}

/** Why there is no token; the text goes to the client. */
class Refused {
  constructor(readonly text: string) {}
}

/** Effective uid and gid: the second of the four on each line (proc_pid_status(5)). */
function credentialsIn(status: string): { uid: number; gid: number } | undefined {
  const uid = /^Uid:\s+\d+\s+(\d+)/m.exec(status)?.[1]
  const gid = /^Gid:\s+\d+\s+(\d+)/m.exec(status)?.[1]
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) }
}

interface Seen {
  readonly pid: number
  readonly uid: number
  readonly gid: number
}

/** Undefined when it is not to be seen. What is read counts only if it has not ended by then. */
function see(pidfd: Pidfd): Seen | undefined {
  try {
    const pid = pidfd.pid()
    if (pid === undefined) return undefined
    const credentials = credentialsIn(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))
    if (credentials === undefined || pidfd.ended()) return undefined
    return { pid, ...credentials }
  } catch (error) {
    if (errnoOf(error) === '') throw error
    return undefined
  }
}

export class OwnerSocket {
  readonly path: string
  readonly #options: OwnerSocketOptions
  readonly #lines: ThrottledLog
  readonly #connections = new Set<FdConnection>()
  #server: FdServer | undefined
  #bound: BoundSocket | undefined

  private constructor(options: OwnerSocketOptions) {
    this.path = options.socket.path
    this.#options = options
    this.#lines = new ThrottledLog(options.log)
  }

  /** @throws StartFailure */
  static async open(options: OwnerSocketOptions): Promise<OwnerSocket> {
    const self = new OwnerSocket(options)
    try {
      self.#bound = await bindFile(options.socket, (file, mode) => self.#listen(file, mode))
    } catch (error) {
      self.close()
      throw error
    }
    return self
  }

  get connections(): number {
    return this.#connections.size
  }

  /** No new connections; those there are cut, and the file goes if it is still ours. Repeatable. */
  close(): void {
    this.#server?.close()
    this.#server = undefined
    for (const connection of [...this.#connections]) connection.close()
    if (this.#bound !== undefined && !removeSocket(this.#bound)) {
      const fields = { [FIELD.SOCKET]: this.path }
      this.#options.log.warn(fields, 'socket left: it is another process’s by now')
    }
    this.#bound = undefined
  }

  #listen(file: string, mode: number): void {
    const server = listen(file, mode, (connection) => this.#accept(connection), LIMITS)
    if (server instanceof SyscallFailure) {
      throw Object.assign(new Error(String(server)), { code: server.errno })
    }
    this.#server = server
  }

  #accept(connection: FdConnection): void {
    const { admission, limits } = this.#options
    const door = { path: this.path, place: { kind: 'side' }, open: this.#connections.size } as const
    const visitor = admission.admit(connection.peer(), door)
    if (visitor === undefined) {
      connection.close()
      return
    }
    this.#connections.add(connection)
    const silent = setTimeout(() => {
      this.#lines.say('info', { [FIELD.SOCKET]: this.path }, 'silent connection closed')
      connection.close()
    }, limits.firstByteMs)
    silent.unref()
    connection.onClose(() => {
      clearTimeout(silent)
      this.#connections.delete(connection)
      visitor.leave()
    })
    visitor.onEnd(() => {
      if (connection.isOpen) connection.close()
    })
    const delegate = delegateOf(visitor)
    if (delegate instanceof Refused) connection.refuseFds()
    connection.onMessage((message) => {
      clearTimeout(silent)
      // Told when something was said: closing before would take the answer away again.
      const answer = this.#answer(message, delegate, visitor.uid)
      const failure = connection.send(answer)
      // Who does not read gets no more: EAGAIN too.
      if (failure !== undefined || delegate instanceof Refused) connection.close()
    })
  }

  /** Closes every descriptor that it does not take. */
  #answer(message: FdMessage, delegate: Caller | Refused, uid: number): string {
    if (delegate instanceof Refused) {
      for (const fd of message.fds) fd.discard()
      return `refused ${delegate.text}`
    }
    const pidfd = takeOnly(message)
    if (pidfd instanceof Refused) return `refused ${pidfd.text}`
    const token = this.#issue(pidfd, delegate, uid)
    return token instanceof Refused ? `refused ${token.text}` : `token ${token}`
  }

  /** Takes the pidfd over. */
  #issue(pidfd: Pidfd, delegate: Caller, uid: number): string | Refused {
    const { processes, tokens } = this.#options
    if (!tokens.hasRoom(uid)) {
      pidfd.close()
      return new Refused(NO_ROOM)
    }
    const seen = see(pidfd)
    if (seen === undefined) {
      const why = pidfd.ended()
        ? 'the process has ended'
        : 'the process is not to be seen from here'
      pidfd.close()
      return new Refused(`${why}; send a pidfd of one that runs in the daemon's pid namespace`)
    }
    const { pid, uid: owned, gid } = seen
    const hold = processes.hold(pidfd, pid)
    const owner: Owner = { ...hold.id, uid: owned, gid }
    const token = tokens.issue({ owner, hold, sender: delegate.process, uid })
    return token ?? new Refused(NO_ROOM)
  }
}

const NO_ROOM =
  `too many tokens are unused (at most ${TOKENS_MAX}, and ${TOKENS_PER_USER_MAX} of one user); ` +
  'use some, or let them expire'

function delegateOf({ caller }: Visitor): Caller | Refused {
  if (!caller.ok) {
    const { refusal } = caller
    if (refusal.code !== 'IDENTITY_REFUSED') return new Refused(refusal.code)
    return new Refused(`${refusal.problem}; ${refusal.remedy}`)
  }
  if (caller.value.delegateFor.size > 0) return caller.value
  const { uid } = caller.value.process
  return new Refused(`user ${uid} is no delegate; add an [[identity.rule]] with role = "delegate"`)
}

/** The one pidfd of a well-formed request. What is not taken is closed. */
function takeOnly({ text, fds, truncated }: FdMessage): Pidfd | Refused {
  const [fd, ...more] = fds
  const refuse = (why: string): Refused => {
    for (const each of fds) each.discard()
    return new Refused(why)
  }
  if (truncated) return refuse('the message was cut off; send "pidfd" with one pidfd')
  if (text !== REQUEST) return refuse('the text is not "pidfd"; send that, with one pidfd')
  if (fd === undefined) return refuse('no descriptor came with it; send one pidfd')
  if (more.length > 0) return refuse(`${fds.length} descriptors came with it; send one pidfd`)
  try {
    const kind = fd.kind()
    const what = kind === 'other' ? 'what came' : `a ${kind}`
    return fd.takePidfd() ?? refuse(`${what} is no pidfd of a process; send one pidfd`)
  } catch (error) {
    // Looking takes a descriptor of our own.
    if (errnoOf(error) === '') throw error
    return refuse('the daemon has no descriptor left to look at it; try again later')
  }
}
