/**
 * The side socket, for descriptors, which gRPC cannot carry: a delegate sends a pidfd of a VM's
 * process and gets a token to name in OpenSession; a VMM or delegate sends a memfd of guest memory
 * and gets one for MapGuestMemory, or its iommufd with a device's cdev and gets one for
 * AttachDevice. One message is one request; docs/OWNERSHIP.md is the protocol.
 * Holds: every descriptor that arrives is taken or closed; nothing a client sends makes the daemon
 * wait.
 */

import fs from 'node:fs'
import type { Logger } from 'pino'
import type { Caller } from '../broker/caller.js'
import { assert } from '../core/assert.js'
import { sameProcess, type Owner } from '../core/owner.js'
import { SyscallFailure } from '../linux/errno.js'
import type { FdConnection, FdMessage } from '../linux/fd-connection.js'
import { listen, type FdServer } from '../linux/fd-socket.js'
import { MemoryProblem, openReceivedMemory } from '../linux/guest-memory.js'
import type { Pidfd } from '../linux/pidfd.js'
import type { ReceivedFd } from '../linux/received-fd.js'
import type { Admission, Visitor } from './admission.js'
import type { LimitsConfig, SocketConfig } from './config/config.js'
import { errnoOf } from './exits.js'
import { NO_ROOM_FOR_DEVICES, type HandOverTokens, type SentDevice } from './hand-over-tokens.js'
import { problemOfPair } from './handed-device.js'
import { FIELD } from './log-fields.js'
import type { MemoryTokens } from './memory-tokens.js'
import type { Sender } from './one-time-tokens.js'
import { TOKENS_MAX, TOKENS_PER_USER_MAX, type OwnerTokens } from './owner-tokens.js'
import type { Processes } from './processes.js'
import { bindFile, removeSocket, type BoundSocket } from './socket-file.js'
import { ThrottledLog } from './telemetry.js'

/** "memory" is the longest that anybody needs to say; more is not read. */
const LIMITS = { textBytes: 64, fds: 4 }
/** How many descriptors come with each request, and what they are. */
const REQUESTS = {
  pidfd: { count: 1, what: 'one pidfd' },
  memory: { count: 1, what: 'one memfd' },
  vfio: { count: 2, what: 'two: /dev/iommu, then /dev/vfio/devices/vfioN' },
} as const
type RequestKind = keyof typeof REQUESTS
const EITHER =
  'send "pidfd" with one pidfd, "memory" with one memfd, or "vfio" with /dev/iommu and a VFIO cdev'

/** Where devices go that are handed over. */
export interface HandedDevices {
  readonly tokens: HandOverTokens
  /** Where sysfs is: it says what a device is. */
  readonly sysfs: string
}

export interface OwnerSocketOptions {
  readonly socket: SocketConfig
  readonly admission: Admission
  readonly processes: Processes
  readonly tokens: OwnerTokens
  readonly memory: MemoryTokens
  /** Undefined: the backend has devices of its own. */
  readonly devices: HandedDevices | undefined
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
    if (request.kind === 'vfio') return this.#issueDevice(request.sent, caller, uid)
    if (request.kind === 'memory') return this.#issueMemory(request.fd, caller, uid)
    const pidfd = pidfdOf(request.fd)
    return pidfd instanceof Refused ? pidfd : this.#issue(pidfd, caller, uid)
  }

  /** What is heavy is not kept for who has ended: guest memory, a device that others wait for. */
  #senderOf({ process }: Caller, uid: number): Sender {
    const watch = (onEnd: () => void) => {
      const hold = this.#options.processes.holdKnown(process)
      assert(hold !== undefined, 'its connection holds the process, and it has a name')
      hold.onEnd(onEnd)
      return () => hold.release()
    }
    return { process, uid, watch }
  }

  /** Takes both descriptors over. */
  #issueDevice(sent: SentDevice, sender: Caller, uid: number): string | Refused {
    const refuse = (why: string): Refused => {
      sent.cdev.discard()
      sent.iommufd.discard()
      return new Refused(why)
    }
    const { devices } = this.#options
    if (devices === undefined) return refuse(NO_DEVICES)
    const from = this.#senderOf(sender, uid)
    if (!devices.tokens.hasRoom(from)) return refuse(NO_ROOM_FOR_DEVICES)
    const problem = problemOfPair(sent, devices.sysfs)
    if (problem !== undefined) return refuse(problem)
    const token = devices.tokens.issue(sent, from)
    return token ?? new Refused(NO_ROOM_FOR_DEVICES)
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
    const token = memory.issue(file, this.#senderOf(sender, uid))
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

const STILL_CLOSING =
  'descriptors that you sent before are still being closed; send it again in a moment'
const NO_ROOM =
  `too many tokens are unused (at most ${TOKENS_MAX}, and ${TOKENS_PER_USER_MAX} of one user); ` +
  'use some, or let them expire'

const NO_DEVICES =
  'this daemon has the emulator, to which no device is handed over; attach it by name, or set ' +
  '[backend] kind = "native"'

/** Whoever the kernel names: the socket's mode says who may connect, as with the VMMs' own. */
function callerOf({ caller }: Visitor): Caller | Refused {
  if (caller.ok) return isNamed(caller.value) ? caller.value : nameless(caller.value)
  const { refusal } = caller
  if (refusal.code !== 'IDENTITY_REFUSED') return new Refused(refusal.code, true)
  return new Refused(`${refusal.problem}; ${refusal.remedy}`, true)
}

/** A process without a name is the same as none: no token of its could be taken, or end with it. */
function isNamed({ process }: Caller): boolean {
  return sameProcess(process, process)
}

function nameless({ process: { pid } }: Caller): Refused {
  const problem =
    `process ${pid} cannot be told from a later one: the kernel's pidfds have no inodes ` +
    `(Linux before 6.9), and its start time in /proc/${pid}/stat cannot be read`
  const remedy =
    "let the daemon read it (hidepid of /proc, the unit's ProtectProc=), or use Linux 6.9"
  return new Refused(`${problem}; ${remedy}`, true)
}

function noDelegate({ process: { uid } }: Caller): Refused {
  const remedy = 'add an [[identity.rule]] with role = "delegate"'
  return new Refused(`user ${uid} is no delegate; ${remedy}`, true)
}

function discarded({ fds }: FdMessage, refused: Refused): Refused {
  for (const fd of fds) fd.discard()
  return refused
}

type Request =
  | { readonly kind: 'pidfd' | 'memory'; readonly fd: ReceivedFd }
  | { readonly kind: 'vfio'; readonly sent: SentDevice }

function isRequest(text: string): text is RequestKind {
  return Object.hasOwn(REQUESTS, text)
}

/** The descriptors of a well-formed request. What is not taken is closed. */
function requestOf(message: FdMessage): Request | Refused {
  const { text, fds, truncated, turnedAway } = message
  const [first, second] = fds
  const refuse = (why: string): Refused => discarded(message, new Refused(why))
  if (turnedAway) return refuse(STILL_CLOSING)
  if (truncated) return refuse(`the message was cut off; ${EITHER}`)
  if (!isRequest(text)) {
    return refuse(`the text is neither "pidfd" nor "memory" nor "vfio"; ${EITHER}`)
  }
  const { count, what } = REQUESTS[text]
  if (first === undefined) return refuse(`no descriptor came with it; send ${what}`)
  if (fds.length !== count) {
    const came = fds.length === 1 ? '1 descriptor' : `${fds.length} descriptors`
    return refuse(`${came} came with it; send ${what}`)
  }
  if (text !== 'vfio') return { kind: text, fd: first }
  assert(second !== undefined, 'as many descriptors came as are asked for')
  return { kind: text, sent: { iommufd: first, cdev: second } }
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
