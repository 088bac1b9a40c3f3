/** What must hold of the sockets' paths: short enough, and each in a folder of its kind. */

import path from 'node:path'
import type { SocketConfig } from './config.js'
import type { Problem } from './document.js'
import type { KeyPath } from './lines.js'

/**
 * sockaddr_un.sun_path is 108 bytes with its final NUL (unix(7)). Node 20 cuts a longer one off and
 * listens on another name, so it is refused here, in bytes.
 */
export const SOCKET_PATH_BYTES_MAX = 107

export interface PlacedSocket {
  readonly socket: SocketConfig
  /** The key that names it. */
  readonly key: KeyPath
}

function checkLengths(sockets: readonly PlacedSocket[]): Problem[] {
  const problems: Problem[] = []
  for (const { socket, key } of sockets) {
    const bytes = Buffer.byteLength(socket.path)
    if (bytes <= SOCKET_PATH_BYTES_MAX) continue
    const bound = `a socket's path has at most ${SOCKET_PATH_BYTES_MAX}`
    const text = `is ${socket.path}, ${bytes} bytes long, ${bound}; choose a shorter one`
    problems.push({ path: key, text })
  }
  return problems
}

export function checkSockets(
  admin: PlacedSocket,
  vmms: readonly PlacedSocket[],
  stateDir: string,
): Problem[] {
  const all = [admin, ...vmms]
  const problems = checkLengths(all)
  const seen = new Set<string>()
  for (const { socket, key } of all) {
    if (seen.has(socket.path)) {
      problems.push({ path: key, text: `is ${socket.path}, as another socket is; choose another` })
    }
    seen.add(socket.path)
    if (path.dirname(socket.path) === stateDir) {
      const text = `is in ${stateDir}, where the ledger is; give sockets a folder of their own`
      problems.push({ path: key, text })
    }
  }
  const folder = path.dirname(admin.socket.path)
  for (const { socket, key } of vmms) {
    if (path.dirname(socket.path) !== folder || socket.path === admin.socket.path) continue
    const text = `is in ${folder}, as the admin socket is; two folders keep VMMs from operators`
    problems.push({ path: key, text })
  }
  return problems
}
