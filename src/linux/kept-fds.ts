/**
 * Descriptors that the service manager passes at start: those of its sockets, and those that an
 * earlier life of this service gave it to keep (sd_listen_fds_with_names(3), FDSTORE=1 of
 * sd_notify(3)). Holds: they are taken once, and no child takes the claim for its own.
 */
import { native } from './addon.js'
import { OwnedFd } from './owned-fd.js'

/** SD_LISTEN_FDS_START, systemd's sd-daemon.h. */
const FIRST_FD = 3
/** More than any unit keeps (FileDescriptorStoreMax). */
const FDS_MAX = 65_536
/** What systemd calls those without a name. */
const NAMELESS = 'unknown'

/** A name is not unique: FDNAME of sd_notify(3) may be given again. */
export interface KeptFd {
  readonly name: string
  readonly fd: OwnedFd
}

/**
 * All of them, each the caller's then. None when there are none, when they are for another process,
 * or when what the manager says does not hold together; the second time there are none either.
 */
export function takeKeptFds(env: NodeJS.ProcessEnv = process.env): readonly KeptFd[] {
  const { LISTEN_PID: pid, LISTEN_FDS: count, LISTEN_FDNAMES: names } = env
  delete env.LISTEN_PID
  delete env.LISTEN_PIDFDID
  delete env.LISTEN_FDS
  delete env.LISTEN_FDNAMES
  if (pid !== String(process.pid)) return []
  const many = /^[1-9]\d*$/.test(count ?? '') ? Number(count) : 0
  if (many > FDS_MAX) return []
  const numbers = Array.from({ length: many }, (_, index) => FIRST_FD + index)
  const named = names?.split(':') ?? numbers.map(() => NAMELESS)
  if (named.length !== many) return []
  // None is taken unless all are there: else the numbers are not the manager's.
  if (!numbers.every((fd) => native.closeOnExec(fd) === 0)) return []
  return numbers.map((fd, index) => {
    const name = named[index] ?? NAMELESS
    return { name, fd: new OwnedFd(fd, `the kept descriptor ${name}`) }
  })
}
