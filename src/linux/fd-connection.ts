/**
 * One end of a SEQPACKET Unix connection: short texts, and descriptors with them (SCM_RIGHTS of
 * unix(7)). Messages keep their borders; nothing here waits. Holds: every descriptor that arrives
 * has an owner, the handler or, where nobody can get it, the connection, which closes it.
 */
import { native, type RawMessage } from './addon.js'
import { failureOf, SyscallFailure } from './errno.js'
import { OwnedFd } from './owned-fd.js'
import { type Peer, peerOf } from './peer.js'
import { ReadableWatch } from './readable.js'
import { mayTakeFds, ReceivedFd } from './received-fd.js'

export interface FdMessage {
  readonly text: string
  /** The handler's: to take or to close, each once. */
  readonly fds: readonly ReceivedFd[]
  /** The text or the list of fds is not whole: beyond the limits, or no descriptor was left. */
  readonly truncated: boolean
  /** Descriptors came and were not taken: too many of the sender's still wait to be closed. */
  readonly turnedAway: boolean
}

/** How much of one message is taken; the kernel drops the rest. */
export interface FdLimits {
  readonly textBytes: number
  /** At most 253, SCM_MAX_FD: no message has more. */
  readonly fds: number
}

export const DEFAULT_LIMITS: FdLimits = { textBytes: 4096, fds: 16 }

/** Messages handled in one turn of the event loop, so that one sender does not hold up the rest. */
const MESSAGES_A_TURN = 16

export class FdConnection {
  readonly #fd: OwnedFd
  #limits: FdLimits
  /** The user who sends; for the bound on descriptors that are not closed yet. */
  readonly #sender: number
  #watch: ReadableWatch | undefined
  #onMessage: ((message: FdMessage) => void) | undefined
  #onClose: (() => void) | undefined

  /** Takes the descriptor of a connected, non-blocking socket over. */
  constructor(fd: number, limits: FdLimits) {
    this.#fd = new OwnedFd(fd, 'a side connection')
    this.#limits = limits
    const credentials = native.peerCredentials(fd)
    this.#sender = typeof credentials === 'number' ? -1 : credentials.uid
  }

  get isOpen(): boolean {
    return this.#fd.isOpen
  }

  /** Who connected. The pidfd in it is the caller's to close. */
  peer(): Peer | SyscallFailure {
    return peerOf(this.#fd.number)
  }

  /**
   * From now on no descriptor is taken: the kernel lets go of what comes (then `truncated`). That
   * waits for nobody, whereas close(2) waits for the server of a file on FUSE to answer FUSE_FLUSH
   * (fs/fuse/file.c), and anybody may be that server.
   */
  refuseFds(): void {
    this.#limits = { ...this.#limits, fds: 0 }
  }

  /** Called once, when the other side has closed or `close` was called. */
  onClose(handler: () => void): void {
    this.#onClose = handler
  }

  /** Starts to read. Until then messages wait in the socket, and an end is not noticed. */
  onMessage(handler: (message: FdMessage) => void): void {
    this.#onMessage = handler
    if (this.#watch !== undefined) return
    const watch = ReadableWatch.start(this.#fd.number, true, () => this.#read())
    if (watch instanceof SyscallFailure) this.close()
    else this.#watch = watch
  }

  /**
   * Sends one message; the descriptors stay the caller's. Fails with EAGAIN when the other side
   * does not read, EPIPE or ECONNRESET when it is gone, EMSGSIZE for a text too long.
   */
  send(text: string, fds: readonly number[] = []): SyscallFailure | undefined {
    const code = native.sendMessage(this.#fd.number, Buffer.from(text), fds)
    return code < 0 ? failureOf('sendmsg', code) : undefined
  }

  close(): void {
    this.#watch?.stop()
    this.#watch = undefined
    this.#fd.close()
    this.#onClose?.()
  }

  #read(): void {
    for (let count = 0; count < MESSAGES_A_TURN && this.isOpen; count++) {
      const { textBytes, fds } = this.#limits
      const takes = mayTakeFds(this.#sender)
      const raw = native.receiveMessage(this.#fd.number, textBytes, takes ? fds : 0)
      if (typeof raw === 'number') {
        if (failureOf('recvmsg', raw).errno !== 'EAGAIN') this.close()
        return
      }
      this.#deliver(raw, !takes && fds > 0 && raw.fdsCut)
    }
  }

  #deliver({ bytes, fds, textCut, fdsCut }: RawMessage, turnedAway: boolean): void {
    const received = fds.map((fd) => new ReceivedFd(fd, this.#sender))
    // Nothing is what the end looks like, and an empty message too: both are an end.
    if (bytes.length === 0 || this.#onMessage === undefined) {
      for (const fd of received) fd.discard()
      this.close()
      return
    }
    const truncated = textCut || fdsCut
    this.#onMessage({ text: bytes.toString(), fds: received, truncated, turnedAway })
  }
}

/** Connects to such a socket. EAGAIN: the queue of those who wait there is full. */
export function connect(path: string, limits = DEFAULT_LIMITS): FdConnection | SyscallFailure {
  const fd = native.seqpacketConnect(path)
  return fd < 0 ? failureOf('connect', fd) : new FdConnection(fd, limits)
}
