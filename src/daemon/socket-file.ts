/**
 * The file of a Unix socket: made so that at no time somebody can connect who may not, and taken
 * away only when it is ours. Node's own `listen` does neither, cuts long paths off, and its `close`
 * removes whatever has the name by then; hence the temporary name and the rename.
 */

import crypto from 'node:crypto'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { groupId, userId } from './accounts.js'
import type { SocketConfig } from './config/config.js'
import { SOCKET_PATH_BYTES_MAX } from './config/socket-checks.js'
import { errnoOf, EXIT, pathFailure, StartFailure } from './exits.js'

const PROBE_MS = 2000
const BACKLOG = 511
/** Until the owner is set only we may connect. */
const WORLD_WRITABLE = 0o002
const STICKY = 0o1000
/** Shortest and longest temporary name: unlikely to meet another, never longer than need be. */
const TEMPORARY_LENGTH_MIN = 8
const TEMPORARY_LENGTH_MAX = 20
/** chown's word for "leave it". */
const UNCHANGED = -1

/** A socket that listens, known by what it is and not by its name. */
export interface BoundSocket {
  readonly path: string
  readonly device: number
  readonly inode: number
}

function statOf(file: string): fs.Stats | undefined {
  try {
    return fs.lstatSync(file)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw pathFailure(`the socket ${file}`, error, 'see to the permissions of its folder')
  }
}

function changeOwner(file: string, socket: SocketConfig): void {
  if (socket.owner === undefined && socket.group === undefined) return
  const uid = socket.owner === undefined ? UNCHANGED : userId(socket.owner)
  const gid = socket.group === undefined ? UNCHANGED : groupId(socket.group)
  try {
    // Never through a link: whoever may write to the folder could have put one there.
    fs.lchownSync(file, uid, gid)
  } catch (error) {
    const who = [socket.owner, socket.group].filter((name) => name !== undefined).join(':')
    const remedy = 'only root may give files away, and others only to a group of their own'
    throw pathFailure(`giving ${file} to ${who}`, error, remedy)
  }
}

/** Makes the folder with its mode when it is not there; one that is there stays as it is. */
export function prepareDirectory(socket: SocketConfig): void {
  const directory = path.dirname(socket.path)
  try {
    fs.mkdirSync(directory, { mode: 0o700 })
    // Only the group is given the folder: its owner could put something else in a socket's place.
    changeOwner(directory, { ...socket, owner: undefined })
    fs.chmodSync(directory, socket.directoryMode)
  } catch (error) {
    if (error instanceof StartFailure) throw error
    if (errnoOf(error) !== 'EEXIST') {
      const remedy = `create ${path.dirname(directory)}, or choose another path for the socket`
      throw pathFailure(`the folder ${directory} of a socket`, error, remedy)
    }
  }
  const { mode } = fs.statSync(directory)
  if (!fs.statSync(directory).isDirectory()) {
    const text = `${directory} is not a folder; remove it, or choose another path for the socket`
    throw new StartFailure(text, EXIT.CANNOT_CREATE)
  }
  if ((mode & WORLD_WRITABLE) !== 0 && (mode & STICKY) === 0) {
    const text = `everybody may write to ${directory} and put a socket of theirs in our place`
    throw new StartFailure(`${text}; take the right away: chmod o-w`, EXIT.NO_PERMISSION)
  }
}

type Answer = 'LIVE' | 'DEAD' | 'GONE'

/** Whether somebody listens on the socket. "Cannot tell" throws. */
function probe(file: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const connection = net.connect(file)
    const end = (answer: Answer) => {
      connection.destroy()
      resolve(answer)
    }
    // A listener whose queue is full does not answer in time: alive.
    connection.setTimeout(PROBE_MS, () => end('LIVE'))
    connection.once('connect', () => end('LIVE'))
    connection.once('error', (error) => {
      const code = errnoOf(error)
      if (code === 'ECONNREFUSED') end('DEAD')
      else if (code === 'ENOENT') end('GONE')
      // A listener of another type of socket refuses ours so; it is there (unix(7)).
      else if (code === 'EAGAIN' || code === 'EPROTOTYPE') end('LIVE')
      else reject(pathFailure(`the socket ${file}`, error, 'stop what uses it, or remove it'))
    })
  })
}

/** Takes away a dead socket of ours. Anything else at the path is an error that says what it is. */
export async function clearStale(file: string): Promise<void> {
  const before = statOf(file)
  if (before === undefined) return
  if (!before.isSocket()) {
    const text = `${file} is there and is no socket; remove it, or choose another path`
    throw new StartFailure(text, EXIT.CANNOT_CREATE)
  }
  const answer = await probe(file)
  if (answer === 'GONE') return
  if (answer === 'LIVE') {
    const text = `another process answers on the socket ${file}; stop it, or choose another path`
    throw new StartFailure(text, EXIT.UNAVAILABLE)
  }
  if (before.uid !== process.geteuid?.() && process.geteuid?.() !== 0) {
    const text = `the socket ${file} is dead and belongs to user ${before.uid}; have it removed`
    throw new StartFailure(text, EXIT.NO_PERMISSION)
  }
  const after = statOf(file)
  if (after === undefined) return
  if (after.ino !== before.ino || after.dev !== before.dev) {
    const text = `another process has just put its own socket at ${file}; stop it, then try again`
    throw new StartFailure(text, EXIT.UNAVAILABLE)
  }
  fs.unlinkSync(file)
}

function temporaryName(file: string): string {
  const { length } = path.basename(file)
  const size = Math.min(TEMPORARY_LENGTH_MAX, Math.max(TEMPORARY_LENGTH_MIN, length))
  const random = crypto.randomBytes(TEMPORARY_LENGTH_MAX).toString('hex')
  return path.join(path.dirname(file), `.${random.slice(0, size - 1)}`)
}

function listen(server: net.Server, file: string, mode: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.once('listening', () => {
      server.off('error', reject)
      resolve()
    })
    // Node binds within this call, so that the umask holds for this socket and for nothing else;
    // the mode is there from the first moment, and never set by a name that could be a link.
    const before = process.umask(0o777 & ~mode)
    try {
      server.listen({ path: file, backlog: BACKLOG })
    } finally {
      process.umask(before)
    }
  })
}

/**
 * Has `bind` bind a socket under another name, with its mode, sets the owner, and only then gives
 * it its own. The caller closes the socket when this throws.
 */
export async function bindFile(
  socket: SocketConfig,
  bind: (file: string, mode: number) => Promise<void> | void,
): Promise<BoundSocket> {
  const temporary = temporaryName(socket.path)
  const bytes = Math.max(Buffer.byteLength(socket.path), Buffer.byteLength(temporary))
  if (bytes > SOCKET_PATH_BYTES_MAX) {
    const bound = `a socket's path has at most ${SOCKET_PATH_BYTES_MAX}`
    const text = `the socket path ${socket.path} takes ${bytes} bytes, ${bound}`
    throw new StartFailure(`${text}; choose a shorter one`, EXIT.CONFIG)
  }
  prepareDirectory(socket)
  await clearStale(socket.path)
  try {
    await bind(temporary, socket.mode)
    changeOwner(temporary, socket)
    const { dev, ino } = fs.lstatSync(temporary)
    fs.renameSync(temporary, socket.path)
    return { path: socket.path, device: dev, inode: ino }
  } catch (error) {
    fs.rmSync(temporary, { force: true })
    if (error instanceof StartFailure) throw error
    const remedy = `make ${path.dirname(socket.path)} writable for us`
    throw pathFailure(`the socket ${socket.path}`, error, remedy)
  }
}

/** The same with a server of Node's; it is closed when this throws. */
export async function bindSocket(server: net.Server, socket: SocketConfig): Promise<BoundSocket> {
  try {
    return await bindFile(socket, (file, mode) => listen(server, file, mode))
  } catch (error) {
    server.close()
    throw error
  }
}

/** Removes the file if it is still this socket; false when another has taken its place. */
export function removeSocket(bound: BoundSocket): boolean {
  const now = fs.lstatSync(bound.path, { throwIfNoEntry: false })
  if (now === undefined) return true
  if (now.ino !== bound.inode || now.dev !== bound.device) return false
  fs.rmSync(bound.path, { force: true })
  return true
}
