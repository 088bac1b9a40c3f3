/**
 * The side socket, for descriptors, which gRPC cannot carry: a delegate sends a pidfd of a VM's
 * process and gets a token to name in OpenSession; a VMM or delegate sends a memfd of guest memory
 * and gets one for MapGuestMemory. One message is one request; docs/OWNERSHIP.md is the protocol.
 * Holds: every descriptor that arrives is taken or closed; nothing a client sends makes the daemon
 * wait.
 */

import fs from 'node:fs'
import type { Logger } from 'pino'
import type { Caller } from '../broker/caller.js'
import type { Owner } from '../core/owner.js'
import { SyscallFailure } from '../linux/errno.js'
import type { FdConnection, FdMessage } from '../linux/fd-connection.js'
import { listen, type FdServer } from '../linux/fd-socket.js'
import { MemoryProblem, openReceivedMemory } from '../linux/guest-memory.js'
import type { Pidfd } from '../linux/pidfd.js'
import type { ReceivedFd } from '../linux/received-fd.js'
import type { Admission, Visitor } from './admission.js'
import type { LimitsConfig, SocketConfig } from './config/config.js'
import { errnoOf } from './exits.js'
import { FIELD } from './log-fields.js'
import type { MemoryTokens } from './memory-tokens.js'
import { TOKENS_MAX, TOKENS_PER_USER_MAX, type OwnerTokens } from './owner-tokens.js'
import type { Processes } from './processes.js'
import { bindFile, removeSocket, type BoundSocket } from './socket-file.js'
import { ThrottledLog } from './telemetry.js'

/** "memory" is the longest that anybody needs to say; more is not read. */
const LIMITS = { textBytes: 64, fds: 4 }
/** What comes with each request. */
const REQUESTS = { pidfd: 'pidfd', memory: 'memfd' } as const
const EITHER = 'send "pidfd" with one pidfd, or "memory" with one memfd'

export interface OwnerSocketOptions {
  readonly socket: SocketConfig
  readonly admission: Admission
  readonly processes: Processes
  readonly tokens: OwnerTokens
  readonly memory: MemoryTokens
  readonly limits: Pick<LimitsConfig, 'firstByteMs'>
  readonly log: Logger
}

/** Why there is no token; the text goes to the client, who is cut then if `cut`. */
class Refused {
  constructor(
    readonly text: string,
    readonly cut = false,
  ) {}
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
    const caller = callerOf(visitor)
    if (caller instanceof Refused) connection.refuseFds()
    connection.onMessage((message) => {
      clearTimeout(silent)
      // Told when something was said: closing before would take the answer away again.
      const token = this.#answer(message, caller, visitor.uid)
      const refused = token instanceof Refused
      const failure = connection.send(refused ? `refused ${token.text}` : `token ${token}`)
      // Who does not read gets no more: EAGAIN too.
      if (failure !== undefined || (refused && token.cut)) connection.close()
    })
  }

  /** Closes every descriptor that it does not take. */
  #answer(message: FdMessage, caller: Caller | Refused, uid: number): string | Refused {
    if (caller instanceof Refused) return discarded(message, caller)
    const isDelegate = caller.delegateFor.size > 0
    if (message.text === 'pidfd' && !isDelegate) return discarded(message, noDelegate(caller))
    const request = requestOf(message)
    if (request instanceof Refused) return request
    if (request.kind === 'memory') return this.#issueMemory(request.fd, caller, uid)
    const pidfd = pidfdOf(request.fd)
    return pidfd instanceof Refused ? pidfd : this.#issue(pidfd, caller, uid)
  }

  /** Takes the descriptor over. */
  #issueMemory(fd: ReceivedFd, sender: Caller, uid: number): string | Refused {
    const { memory } = this.#options
    const full = memory.problem(uid)
    if (full !== undefined) {
      fd.discard()
      return new Refused(full)
    }
    const file = openReceivedMemory(fd)
    if (file instanceof MemoryProblem) return new Refused(`${file.problem}; ${file.remedy}`)
    const token = memory.issue(file, { process: sender.process, uid })
    return token ?? new Refused(NO_ROOM)
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

/** Whoever the kernel names: the socket's mode says who may connect, as with the VMMs' own. */
function callerOf({ caller }: Visitor): Caller | Refused {
  if (caller.ok) return caller.value
  const { refusal } = caller
  if (refusal.code !== 'IDENTITY_REFUSED') return new Refused(refusal.code, true)
  return new Refused(`${refusal.problem}; ${refusal.remedy}`, true)
}

function noDelegate({ process: { uid } }: Caller): Refused {
  const remedy = 'add an [[identity.rule]] with role = "delegate"'
  return new Refused(`user ${uid} is no delegate; ${remedy}`, true)
}

function discarded({ fds }: FdMessage, refused: Refused): Refused {
  for (const fd of fds) fd.discard()
  return refused
}

interface Request {
  readonly kind: keyof typeof REQUESTS
  readonly fd: ReceivedFd
}

/** The one descriptor of a well-formed request. What is not taken is closed. */
function requestOf(message: FdMessage): Request | Refused {
  const { text, fds, truncated } = message
  const [fd, ...more] = fds
  const refuse = (why: string): Refused => discarded(message, new Refused(why))
  if (truncated) return refuse(`the message was cut off; ${EITHER}`)
  if (text !== 'pidfd' && text !== 'memory') {
    return refuse(`the text is neither "pidfd" nor "memory"; ${EITHER}`)
  }
  const what = REQUESTS[text]
  if (fd === undefined) return refuse(`no descriptor came with it; send one ${what}`)
  if (more.length > 0) return refuse(`${fds.length} descriptors came with it; send one ${what}`)
  return { kind: text, fd }
}

/** Takes the descriptor over: the process it stands for, or it is closed. */
function pidfdOf(fd: ReceivedFd): Pidfd | Refused {
  const refuse = (why: string): Refused => {
    fd.discard()
    return new Refused(why)
  }
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
