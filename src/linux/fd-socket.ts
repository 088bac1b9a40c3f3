/**
 * The side socket's server: a SEQPACKET Unix socket, over which callers hand descriptors in,
 * because gRPC cannot carry them. Holds: the socket's file has its mode from the first moment; it
 * is the caller's to move and to remove, by name.
 */
import { native } from './addon.js'
import { failureOf, SyscallFailure } from './errno.js'
import { DEFAULT_LIMITS, FdConnection, type FdLimits } from './fd-connection.js'
import { OwnedFd } from './owned-fd.js'
import { ReadableWatch } from './readable.js'

const BACKLOG = 511
/** Connections accepted in one turn of the event loop. */
const ACCEPTS_A_TURN = 64
/** Without a descriptor left, those who connect wait in the queue until we try again. */
const RETRY_MS = 100

export class FdServer {
  readonly #fd: OwnedFd
  readonly #onConnection: (connection: FdConnection) => void
  readonly #limits: FdLimits
  #watch: ReadableWatch | undefined
  #retry: NodeJS.Timeout | undefined

  /** Takes the descriptor of a listening, non-blocking socket over. */
  constructor(fd: number, onConnection: (connection: FdConnection) => void, limits: FdLimits) {
    this.#fd = new OwnedFd(fd, 'a side socket')
    this.#onConnection = onConnection
    this.#limits = limits
    this.#start()
  }

  /** Takes no more connections. Those that are there stay, and so does the file. */
  close(): void {
    clearTimeout(this.#retry)
    this.#watch?.stop()
    this.#watch = undefined
    this.#fd.close()
  }

  #start(): void {
    const watch = ReadableWatch.start(this.#fd.number, true, () => this.#accept())
    if (watch instanceof SyscallFailure) this.#pause()
    else this.#watch = watch
  }

  /** Level-triggered as it is, the watch would call without end. */
  #pause(): void {
    this.#watch?.stop()
    this.#watch = undefined
    this.#retry = setTimeout(() => this.#start(), RETRY_MS)
  }

  #accept(): void {
    for (let count = 0; count < ACCEPTS_A_TURN && this.#fd.isOpen; count++) {
      const fd = native.accept(this.#fd.number)
      if (fd < 0) {
        if (failureOf('accept4', fd).errno !== 'EAGAIN') this.#pause()
        return
      }
      this.#onConnection(new FdConnection(fd, this.#limits))
    }
  }
}

/**
 * Binds and listens, synchronously. `mode` is the file's, such as 0o660. Fails with EADDRINUSE when
 * the file is there, ENAMETOOLONG for more than 107 bytes, and as bind(2) says.
 */
export function listen(
  path: string,
  mode: number,
  onConnection: (connection: FdConnection) => void,
  limits = DEFAULT_LIMITS,
): FdServer | SyscallFailure {
  // Within this call, so that the umask holds for this file and for nothing else.
  const before = process.umask(0o777 & ~mode)
  let fd: number
  try {
    fd = native.seqpacketListen(path, BACKLOG)
  } finally {
    process.umask(before)
  }
  return fd < 0 ? failureOf('bind', fd) : new FdServer(fd, onConnection, limits)
}
